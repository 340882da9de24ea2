/* Content that comes with an archive. */
#include "service/image/layer_file.h"
#include "service/image/load.h"
#include "store/archive/documents.h"

struct load_blob *load_blob_find(struct load *l, const struct digest *d)
{
	struct load_blob *b;

	HASH_FIND(hh, l->blobs, d, sizeof *d, b);
	return b;
}

static int take_lease(struct load *l, struct err *err)
{
	int r = l->leased ? OK : lease_create(l->service->store, "load", NULL, 0, &l->lease, err);

	l->leased = l->leased || r == OK;
	return r;
}

/* ---- batches --------------------------------------------------------------- */

/* Bytes that went by because they were here cannot be had again. */
static int fail_removed(const struct load_blob *b, struct err *err)
{
	char text[DIGEST_TEXT_MAX];

	return fail(err, E_ABORTED, "blob %s was removed while it was being loaded: load again",
		    digest_text(&b->digest, text));
}

/* Under the lease, so that the answer stays true. What went in between, as the documents
 * of another load of this archive do, is committed from the copy; without one it is lost,
 * which matters if an image needs it. */
static void claim(struct load *l, struct load_blob *b)
{
	int64_t size = 0;

	if (content_claim(l->service->store, &b->digest, &size) && size == b->size)
		ingest_unref(TAKE(b->ingest));
	else
		b->lost = !b->ingest;
}

static int commit_batch(struct load *l, struct err *err)
{
	struct ingest *ingests[LOAD_BATCH];
	struct digest digests[LOAD_BATCH] = { 0 };
	size_t n = 0;
	int r = take_lease(l, err);

	for (size_t i = 0; i < l->n_batch; i++)
		digests[i] = l->batch[i]->digest;
	if (r == OK)
		r = lease_add(l->service->store, &l->lease, digests, l->n_batch, err);
	for (size_t i = 0; r == OK && i < l->n_batch; i++) {
		if (!l->batch[i]->brought)
			claim(l, l->batch[i]);
		if (l->batch[i]->ingest)
			ingests[n++] = l->batch[i]->ingest;
	}
	return r == OK && n ? content_commit(l->service->store, ingests, n, err) : r;
}

int load_blobs_commit(struct load *l, struct err *err)
{
	int r = l->n_batch ? commit_batch(l, err) : OK;

	if (r != OK)
		return r;
	for (size_t i = 0; i < l->n_batch; i++)
		ingest_unref(TAKE(l->batch[i]->ingest));
	l->n_batch = 0;
	return OK;
}

/* ---- adding ---------------------------------------------------------------- */

/* What is here with another size than these bytes, whose digest is proven, is damaged,
 * and would be taken for them. */
static int drop_damaged(struct load *l, const struct digest *d, int64_t size, bool *ret_found, struct err *err)
{
	int64_t here = 0;
	int r;

	*ret_found = content_exists(l->service->store, d, &here);
	if (!*ret_found || here == size)
		return OK;
	*ret_found = false;
	r = content_quarantine(l->service->store, d, err);
	return r == E_NOT_FOUND ? OK : r;
}

static int insert(struct load *l, const struct load_blob *blob, struct load_blob **ret_blob, struct err *err)
{
	struct load_blob *b;

	if (l->n_batch == LOAD_BATCH && load_blobs_commit(l, err) < 0)
		return err->code;
	b = malloc(sizeof *b);
	if (!b)
		return fail_nomem(err);
	*b = *blob;
	HASH_ADD(hh, l->blobs, digest, sizeof b->digest, b);
	if (!HASH_ADDED(b)) {
		free(b);
		return fail_nomem(err);
	}
	l->batch[l->n_batch++] = b;
	*ret_blob = b;
	return OK;
}

int load_blob_add(struct load *l, const struct digest *d, int64_t size, struct ingest *ingest,
		  struct load_blob **ret_blob, struct err *err)
{
	CLEANUP(ingest_unrefp) struct ingest *owned = ingest;
	struct load_blob *b = load_blob_find(l, d), new = { .digest = *d, .size = size };
	bool found = !owned;

	if (owned && drop_damaged(l, d, size, &found, err) < 0)
		return err->code;
	if (!b) {
		if (found && size > LOAD_SPARE_MAX)
			ingest_unref(TAKE(owned));
		new.brought = !found;
		new.ingest = owned;
		if (insert(l, &new, &b, err) < 0)
			return err->code;
		owned = NULL; /* the blob's */
		l->present_bytes += found ? size : 0;
	}
	if (ret_blob)
		*ret_blob = b;
	return OK;
}

int load_blob_add_bytes(struct load *l, struct bytes data, struct digest *ret_digest, struct err *err)
{
	struct ingest *ingest = NULL;
	bool found;

	digest_of(DIGEST_SHA256, data, ret_digest);
	if (load_blob_find(l, ret_digest))
		return OK;
	if (drop_damaged(l, ret_digest, (int64_t)data.len, &found, err) < 0 ||
	    ingest_bytes(l->service->store, ret_digest, data, &ingest, err) < 0)
		return err->code;
	return load_blob_add(l, ret_digest, (int64_t)data.len, ingest, NULL, err);
}

/* ---- reading --------------------------------------------------------------- */

int load_blob_open(struct load *l, const struct load_blob *b, int *ret_fd, struct err *err)
{
	int64_t size;
	int r;

	if (b->ingest)
		return ingest_reader(b->ingest, ret_fd, err);
	r = content_open(l->service->store, &b->digest, ret_fd, &size, err);
	return r == E_NOT_FOUND ? fail_removed(b, err) : r;
}

int load_blob_read(struct load *l, const struct load_blob *b, struct buf *out, struct err *err)
{
	CLEANUP(closep) int fd = -1;
	uint8_t *room;

	if (b->size > (int64_t)out->max)
		return fail(err, E_LIMIT, "a document of %lld bytes; at most %zu are read", (long long)b->size,
			    out->max);
	if (load_account_document(l, b->size, err) < 0 || load_blob_open(l, b, &fd, err) < 0)
		return err->code;
	room = buf_reserve(out, (size_t)b->size);
	if (!room)
		return fail_nomem(err);
	for (int64_t done = 0; done < b->size;) {
		ssize_t n = pread(fd, room + done, (size_t)(b->size - done), done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "read a document of the archive");
		if (n == 0)
			return fail(err, E_CORRUPT, "a document of the archive has become shorter");
		done += n;
	}
	out->len += (size_t)b->size;
	return OK;
}

int load_blob_get(struct load *l, const struct digest *d, const struct digest *diff_id, struct load_blob **ret_blob,
		  struct err *err)
{
	char name[TAR_NAME_MAX];
	struct load_member *m;
	int64_t size = 0;

	*ret_blob = load_blob_find(l, d);
	if (*ret_blob)
		return OK;
	m = load_find(l, blob_member_name(d, name));
	if (m) {
		int r = load_bring(l, m, diff_id, err);

		*ret_blob = r == OK ? load_blob_find(l, d) : NULL;
		return r;
	}
	if (!content_exists(l->service->store, d, &size))
		return OK;
	return insert(l, &(struct load_blob){ .digest = *d, .size = size }, ret_blob, err);
}

bool load_blob_present(struct load *l, const struct digest *d)
{
	char name[TAR_NAME_MAX];

	return load_blob_find(l, d) || load_find(l, blob_member_name(d, name)) ||
	       content_exists(l->service->store, d, NULL);
}

int load_blob_check(struct load *l, const struct digest *d, struct err *err)
{
	const struct load_blob *b = load_blob_find(l, d);

	return b && b->lost ? fail_removed(b, err) : OK;
}

/* ---- end ------------------------------------------------------------------- */

/* Also what was here before: an image that was removed in between left it to this load's
 * lease. When memory is short it stays for the next prune. */
static void collect(struct load *l)
{
	size_t n = HASH_COUNT(l->blobs);
	CLEANUP(freep) struct digest *digests = calloc(n + 1, sizeof *digests);
	int64_t freed;

	n = 0;
	for (struct load_blob *b = l->blobs; digests && b; b = b->hh.next)
		digests[n++] = b->digest;
	if (n)
		gc_blobs(l->service->store, digests, n, &freed, NULL);
}

void load_blobs_release(struct load *l)
{
	struct load_blob *b, *next;

	for (b = l->blobs; b; b = b->hh.next) {
		layer_job_free(b->job);
		layer_image_free(b->image);
		ingest_unref(b->ingest);
	}
	if (l->leased) { /* it was not published */
		lease_release(l->service->store, &l->lease, NULL);
		collect(l);
	}
	for (b = l->blobs; b; b = next) {
		next = b->hh.next;
		HASH_DEL(l->blobs, b);
		free(b->facts);
		free(b);
	}
}
