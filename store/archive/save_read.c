/* An archive that is planned, given out in pieces. */
#include "store/archive/save_members.h"
#include "store/content/content.h"

enum { HEADER_MAX = 4096 };

static bool is_inflated(const struct save_member *m)
{
	return digest_is_set(&m->diff_id);
}

/* What the bytes that go out must have. */
static const struct digest *wanted(const struct save_member *m)
{
	return is_inflated(m) ? &m->diff_id : &m->digest;
}

static int fail_damaged(const struct save_member *m, struct err *err)
{
	char text[DIGEST_TEXT_MAX];

	return fail(err, E_CORRUPT, "blob %s is damaged; run 'imagectl system check --repair'",
		    digest_text(&m->digest, text));
}

/* ---- from member to member ------------------------------------------------------ */

static void close_blob(struct save *a)
{
	struct save_position *p = &a->at;

	if (p->plain)
		a->inflater.close(TAKE(p->plain));
	closep(&p->fd);
	p->fd = -1;
}

static int open_blob(struct save *a, const struct save_member *m, struct err *err)
{
	struct save_position *p = &a->at;
	int r;

	hasher_init(&p->hasher, wanted(m)->algorithm);
	r = content_open(a->store, &m->digest, &p->fd, &(int64_t){ 0 }, err);
	return r == OK && is_inflated(m) ? a->inflater.open(a->inflater.arg, take_fd(&p->fd), &p->plain, err) : r;
}

static int enter(struct save *a, struct save_member *m, struct err *err)
{
	struct save_position *p = &a->at;

	p->member = m;
	p->offset = 0;
	if (!m)
		return OK;
	buf_reset(&p->header);
	if (!tar_member_header(&m->tar, &p->header))
		return fail_nomem(err);
	return digest_is_set(&m->digest) ? open_blob(a, m, err) : OK;
}

static int leave(struct save *a, struct err *err)
{
	const struct save_member *m = a->at.member;

	if (digest_is_set(&m->digest)) {
		struct digest found = hasher_final(&a->at.hasher);

		close_blob(a);
		if (!digest_eq(&found, wanted(m)))
			return fail_damaged(m, err);
	}
	return enter(a, m->next, err);
}

/* ---- data ------------------------------------------------------------------------- */

static int read_stored(struct save_position *p, int64_t offset, uint8_t *data, size_t len, struct err *err)
{
	char text[DIGEST_TEXT_MAX];

	for (size_t done = 0; done < len;) {
		ssize_t n = pread(p->fd, data + done, len - done, offset + (int64_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "read blob %s", digest_text(&p->member->digest, text));
		if (n == 0)
			return fail(err, E_CORRUPT, "blob %s has become shorter",
				    digest_text(&p->member->digest, text));
		done += (size_t)n;
	}
	return OK;
}

/* At least a byte, and perhaps fewer than there is room for. */
static int read_inflated(struct save *a, uint8_t *data, size_t *len, struct err *err)
{
	struct save_position *p = &a->at;
	int r = a->inflater.read(p->plain, data, *len, len, err);

	if (r == E_BAD_CONTENT || (r == OK && !*len))
		return fail_damaged(p->member, err);
	return r;
}

static int read_blob(struct save *a, int64_t offset, uint8_t *data, size_t *len, struct err *err)
{
	int r = a->at.plain ? read_inflated(a, data, len, err) : read_stored(&a->at, offset, data, *len, err);

	if (r == OK)
		hasher_update(&a->at.hasher, data, *len);
	return r;
}

/* The next bytes of the member, of one of its three parts. */
static int read_member(struct save *a, uint8_t *data, size_t size, size_t *ret_len, struct err *err)
{
	struct save_position *p = &a->at;
	const struct save_member *m = p->member;
	int64_t header = (int64_t)p->header.len, data_end = header + m->tar.size;
	int64_t end = data_end + (int64_t)tar_padding(m->tar.size), offset = p->offset;
	size_t len;
	int r = OK;

	if (offset < header) {
		len = min_size((uint64_t)(header - offset), size);
		memcpy(data, p->header.data + offset, len);
	} else if (offset < data_end) {
		len = min_size((uint64_t)(data_end - offset), size);
		if (digest_is_set(&m->digest))
			r = read_blob(a, offset - header, data, &len, err);
		else
			memcpy(data, m->body.data + (offset - header), len);
	} else {
		len = min_size((uint64_t)(end - offset), size);
		memset(data, 0, len);
	}
	p->offset += (int64_t)len;
	*ret_len = len;
	if (r == OK && p->offset == end)
		r = leave(a, err);
	return r;
}

static size_t read_end(struct save_position *p, uint8_t *data, size_t size)
{
	size_t len = min_size(TAR_END_BYTES - p->end, size);

	memset(data, 0, len);
	p->end += len;
	return len;
}

int save_read(struct save *a, uint8_t *data, size_t size, size_t *ret_len, struct err *err)
{
	size_t done = 0, len = 1;

	while (done < size && len) {
		int r = OK;

		if (a->at.member)
			r = read_member(a, data + done, size - done, &len, err);
		else
			len = read_end(&a->at, data + done, size - done);
		if (r != OK)
			return r;
		done += len;
	}
	*ret_len = done;
	return OK;
}

int save_begin(struct save *a, struct err *err)
{
	a->at.header = (struct buf)BUF_INIT(HEADER_MAX);
	return enter(a, a->members, err);
}

void save_end(struct save *a)
{
	close_blob(a);
	buf_free(&a->at.header);
}
