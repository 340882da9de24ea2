#include "store/contexts/context_pack.h"

enum { COPY_BYTES = 256 * 1024 };

static const char kind[] = "pack";

static struct context_pack *new_pack(void)
{
	struct context_pack *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->file = (struct context_file)CONTEXT_FILE_INIT;
	pthread_mutex_init(&p->mu, NULL);
	atomic_init(&p->refs, 1);
	return p;
}

int context_pack_create(struct store *s, const char *directory, struct context_pack **ret_pack, struct err *err)
{
	CLEANUP(context_pack_unrefp) struct context_pack *p = new_pack();
	int r = p ? context_file_create(s, directory, kind, &p->file, err) : fail_nomem(err);

	if (r == OK)
		*ret_pack = TAKE(p);
	return r;
}

int context_pack_open(struct store *s, const char *directory, uint64_t number, uint64_t end,
		      struct context_pack **ret_pack, struct err *err)
{
	CLEANUP(context_pack_unrefp) struct context_pack *p = new_pack();
	int64_t size;
	int r = p ? context_file_open(s, directory, kind, number, &p->file, err) : fail_nomem(err);

	if (r == OK)
		r = context_file_size(&p->file, &size, err);
	if (r != OK)
		return r;
	if (size < 0 || (uint64_t)size < end)
		return fail(err, E_CORRUPT, "the files of a build context are cut off");
	if ((uint64_t)size > end && ftruncate(p->file.fd, (off_t)end))
		return store_fail_errno(s, 0, err, "cut a context's file");
	p->end = end;
	*ret_pack = TAKE(p);
	return OK;
}

struct context_pack *context_pack_ref(struct context_pack *p)
{
	atomic_fetch_add(&p->refs, 1);
	return p;
}

void context_pack_unref(struct context_pack *p)
{
	if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
		return;
	context_file_close(&p->file);
	pthread_mutex_destroy(&p->mu);
	free(p);
}

void context_pack_unrefp(struct context_pack **p)
{
	context_pack_unref(*p);
}

uint64_t context_pack_end(struct context_pack *p)
{
	uint64_t end;

	pthread_mutex_lock(&p->mu);
	end = p->end;
	pthread_mutex_unlock(&p->mu);
	return end;
}

uint64_t context_pack_reserve(struct context_pack *p, uint64_t bytes)
{
	uint64_t at;

	pthread_mutex_lock(&p->mu);
	at = context_pack_align(p->end, PACK_ALIGNED_FROM);
	p->end = at + bytes;
	pthread_mutex_unlock(&p->mu);
	return at;
}

void context_pack_give_back(struct context_pack *p, uint64_t used_end, uint64_t reserved_end)
{
	pthread_mutex_lock(&p->mu);
	if (p->end == reserved_end)
		p->end = used_end;
	pthread_mutex_unlock(&p->mu);
}

/* Where the kernel cannot copy between the two. */
static int copy_by_hand(struct context_pack *from, uint64_t from_offset, uint64_t len, struct context_pack *to,
			uint64_t to_offset, struct err *err)
{
	CLEANUP(freep) uint8_t *piece = malloc(COPY_BYTES);
	int r = piece ? OK : fail_nomem(err);

	while (r == OK && len) {
		ssize_t n = pread(from->file.fd, piece, min_size(len, COPY_BYTES), (off_t)from_offset);

		if (n < 0)
			return fail_errno(err, "read a context's file");
		if (!n)
			return fail(err, E_CORRUPT, "the files of a build context are cut off");
		r = context_file_write(&to->file, piece, (size_t)n, to_offset, err);
		from_offset += (uint64_t)n;
		to_offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return r;
}

int context_pack_copy(struct context_pack *from, uint64_t from_offset, uint64_t len, struct context_pack *to,
		      uint64_t to_offset, struct err *err)
{
	off_t in = (off_t)from_offset, out = (off_t)to_offset;

	while (len) {
		ssize_t n = copy_file_range(from->file.fd, &in, to->file.fd, &out, len, 0);

		if (n <= 0)
			return copy_by_hand(from, (uint64_t)in, len, to, (uint64_t)out, err);
		len -= (uint64_t)n;
	}
	return OK;
}
