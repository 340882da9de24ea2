#include "service/build/copy/unpack.h"

#include <sys/stat.h>

#include "service/build/context/archive_kind.h"

enum { PIECE_BYTES = 256 * 1024 };

struct unpacked_archive {
	struct unpacked_archive *next;
	struct copy_files files;
};

void unpacked_free(struct unpacked *u)
{
	while (u->all) {
		struct unpacked_archive *a = u->all;

		u->all = a->next;
		build_context_close(a->files.context, NULL);
		free(a);
	}
}

/* A file from its beginning. */
struct reading {
	struct source_entry e;
	uint64_t at;
	uint8_t piece[PIECE_BYTES];
};

static int receive(void *reading, struct bytes *ret_data, struct err *err)
{
	struct reading *r = reading;
	size_t n = min_size(r->e.size - r->at, PIECE_BYTES);
	int rc = source_read(&r->e, r->at, r->piece, n, err);

	if (rc != OK)
		return rc;
	r->at += n;
	*ret_data = (struct bytes){ r->piece, n };
	return n > 0;
}

static bool may_be_unpacked(const struct copy_job *j, const struct copy_source *source, const struct copy_item *item)
{
	bool by_itself = source->kind == SOURCE_CONTEXT || source->kind == SOURCE_STAGE;

	return j->step->add && S_ISREG(item->mode) &&
	       (j->step->unpack == ON || (by_itself && j->step->unpack == UNSET));
}

static int unpack(struct unpacked *u, const struct copy_job *j, struct reading *r, struct copy_item *item,
		  struct err *err)
{
	const struct context_archive archive = { .store = j->store,
						 .worker_program = j->worker_program,
						 .cancel = j->cancel,
						 .name = "",
						 .with_owners = true };
	const struct archive_reader from = { receive, r };
	struct unpacked_archive *a = calloc(1, sizeof *a);
	int rc;

	if (!a)
		return fail_nomem(err);
	a->next = u->all;
	u->all = a;
	rc = context_archive_read(&archive, &from, NULL, &a->files.context, err);
	if (rc != OK)
		return err_wrap(err, "failed to unpack /%.*s", (int)min_size(item->path.len, 512),
				(const char *)item->path.data);
	*item = (struct copy_item){ .files = &a->files, .mode = S_IFDIR | 0755, .is_archive = true };
	return OK;
}

int unpack_if_archive(struct unpacked *u, const struct copy_job *j, const struct copy_source *source,
		      struct copy_item *item, struct err *err)
{
	CLEANUP(freep) struct reading *r = NULL;
	struct archive_reader from = { receive, NULL };
	bool is_tar = false;
	int rc;

	if (!may_be_unpacked(j, source, item))
		return OK;
	r = calloc(1, sizeof *r);
	if (!r)
		return fail_nomem(err);
	from.arg = r;
	rc = source_lookup(item->files, item->path, &r->e, err);
	if (rc == OK)
		rc = archive_is_tar(j->worker_program, &from, j->cancel, &is_tar, err);
	r->at = 0;
	return rc == OK && is_tar ? unpack(u, j, r, item, err) : rc;
}
