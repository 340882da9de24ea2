#include "store/archive/save.h"

#include "proto/runtime/hash.h"
#include "store/archive/documents.h"
#include "store/content/content.h"
#include "store/image/image_record.h"
#include "store/internal.h"
#include "store/types/docker_archive.h"

enum { DIRECTORY_MODE = 0755, DOCUMENT_MODE = 0644, BLOB_MODE = 0444, HEADER_MAX = 4096 };

struct member {
	struct tar_member tar;
	struct buf body;      /* of a document */
	struct digest digest; /* of a blob; else unset */
	UT_hash_handle hh;    /* of blobs, by digest */
	struct member *next;
};

/* How far the archive has been given out. */
struct position {
	struct member *member; /* NULL: behind the last one */
	struct buf header;
	int64_t offset; /* in the member: header, data, padding */
	int fd;		/* of a blob; -1 */
	struct hasher hasher;
	size_t end; /* zeros behind the last member that were given out */
};

struct save {
	struct store *store;
	struct member *members, **last, *blobs;
	struct lease_id lease;
	bool leased;
	struct position at;
};

/* ---- what goes in ---------------------------------------------------------- */

static struct member *add_member(struct save *a, const char *name, uint32_t mode, int64_t size)
{
	struct member *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	snprintf(m->tar.name, sizeof m->tar.name, "%s", name);
	m->tar.mode = mode;
	m->tar.size = size;
	*a->last = m;
	a->last = &m->next;
	return m;
}

static int add_blob(struct save *a, const struct digest *d, int64_t size, struct err *err)
{
	char name[TAR_NAME_MAX];
	struct member *m;

	HASH_FIND(hh, a->blobs, d, sizeof *d, m);
	if (m)
		return OK;
	m = add_member(a, blob_member_name(d, name), BLOB_MODE, size);
	if (!m)
		return fail_nomem(err);
	m->digest = *d;
	HASH_ADD(hh, a->blobs, digest, sizeof m->digest, m);
	return HASH_ADDED(m) ? OK : fail_nomem(err);
}

typedef int document_fn(const struct selection *x, struct buf *out, struct err *err);

static int layout_document(const struct selection *x, struct buf *out, struct err *err)
{
	(void)x;
	return buf_puts(out, OCI_LAYOUT_TEXT) ? OK : fail_nomem(err);
}

static int add_documents(struct save *a, const struct selection *x, bool docker, struct err *err)
{
	static const struct {
		const char *name;
		document_fn *make;
		size_t bytes_max; /* what a load takes */
		bool of_docker;
	} documents[] = {
		{ "oci-layout", layout_document, MANIFEST_BYTES_MAX, false },
		{ "index.json", index_document, MANIFEST_BYTES_MAX, false },
		{ "manifest.json", manifest_document, DOCKER_ARCHIVE_BYTES_MAX, true },
		{ "repositories", repositories_document, DOCKER_ARCHIVE_BYTES_MAX, true },
	};

	for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
		if (documents[i].of_docker && !docker)
			continue;

		CLEANUP(buf_free) struct buf body = BUF_INIT(documents[i].bytes_max);
		struct member *m;
		int r = documents[i].make(x, &body, err);

		if (r != OK)
			return r;
		if (!body.len)
			continue;
		m = add_member(a, documents[i].name, DOCUMENT_MODE, (int64_t)body.len);
		if (!m)
			return fail_nomem(err);
		m->body = TAKE(body);
	}
	return OK;
}

static int add_directories(struct save *a, const struct selection *x, struct err *err)
{
	static const char *const algorithms[] = { "blobs/sha256/", "blobs/sha512/" };
	bool used[ARRAY_LEN(algorithms)] = { true, false };

	for (size_t i = 0; i < x->n_entries; i++)
		used[1] = used[1] || x->entries[i].root.algorithm == DIGEST_SHA512;
	if (!add_member(a, "blobs/", DIRECTORY_MODE, 0))
		return fail_nomem(err);
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++)
		if (used[i] && !add_member(a, algorithms[i], DIRECTORY_MODE, 0))
			return fail_nomem(err);
	return OK;
}

static int add_image_blobs(struct save *a, const struct saved_image *image, struct err *err)
{
	int r = add_blob(a, &image->manifest, image->record->manifest_size, err);

	return r == OK ? add_blob(a, &image->config, image->record->config_size, err) : r;
}

/* What a reader needs to understand the rest. */
static int add_json_blobs(struct save *a, const struct selection *x, struct err *err)
{
	int r = OK;

	for (size_t i = 0; r == OK && i < x->n_entries; i++) {
		const struct saved_entry *e = &x->entries[i];
		const struct saved_image *image = &x->images[e->image];

		r = add_blob(a, &e->root, e->root_size, err);
		if (r == OK)
			r = add_image_blobs(a, image, err);
	}
	for (size_t i = 0; r == OK && i < x->n_images; i++)
		r = add_image_blobs(a, &x->images[i], err);
	return r;
}

static int add_layers(struct save *a, const struct selection *x, struct err *err)
{
	for (size_t i = 0; i < x->n_images; i++) {
		const Imaged__Store__V1__ImageRecord *record = x->images[i].record;

		for (size_t k = 0; k < record->n_layers; k++) {
			struct digest d;
			int r = digest_from_data(record->layers[k]->digest, &d, err);

			if (r == OK)
				r = add_blob(a, &d, record->layers[k]->size, err);
			if (r != OK)
				return r;
		}
	}
	return OK;
}

/* A store that cannot be written to still gives out what it has: on a read-only one
 * nothing is removed, and on a full disk a blob that is removed meanwhile is an error
 * of the save. */
static int take_lease(struct save *a, struct err *err)
{
	size_t n = HASH_COUNT(a->blobs), i = 0;
	CLEANUP(freep) struct digest *all = calloc(n ? n : 1, sizeof *all);
	int r;

	if (!all)
		return fail_nomem(err);
	for (struct member *m = a->blobs; m; m = m->hh.next)
		all[i++] = m->digest;
	if (a->store->read_only)
		return OK;
	r = lease_create(a->store, "save", all, n, &a->lease, err);
	a->leased = r == OK;
	return r == E_DISK_FULL ? OK : r;
}

/* Lost, or only removed since it was chosen. */
static int fail_missing(struct save *a, const struct selection *x, const struct member *m, struct err *err)
{
	char text[DIGEST_TEXT_MAX];

	for (size_t i = 0; i < x->n_images; i++)
		if (!image_is_listed(a->store, &x->images[i].manifest))
			return fail(err, E_ABORTED, "image %s was removed while it was being saved",
				    digest_text(&x->images[i].config, text));
	return fail(err, E_CORRUPT, "blob %s is not in the store; run 'imagectl system check'",
		    digest_text(&m->digest, text));
}

/* Only what was claimed after the lease was there is safe. */
static int check_present(struct save *a, const struct selection *x, struct err *err)
{
	for (struct member *m = a->blobs; m; m = m->hh.next) {
		char text[DIGEST_TEXT_MAX];
		int64_t size = 0;

		if (!content_claim(a->store, &m->digest, &size))
			return fail_missing(a, x, m, err);
		if (size != m->tar.size)
			return fail(err, E_CORRUPT, "blob %s is damaged; run 'imagectl system check'",
				    digest_text(&m->digest, text));
	}
	return OK;
}

static int plan(struct save *a, const struct selection *x, bool docker, struct err *err)
{
	int r = add_documents(a, x, docker, err);

	if (r == OK)
		r = add_directories(a, x, err);
	if (r == OK)
		r = add_json_blobs(a, x, err);
	if (r == OK)
		r = add_layers(a, x, err);
	if (r == OK)
		r = take_lease(a, err);
	return r == OK ? check_present(a, x, err) : r;
}

void save_close(struct save *a)
{
	if (!a)
		return;
	closep(&a->at.fd);
	buf_free(&a->at.header);
	HASH_CLEAR(hh, a->blobs);
	while (a->members) {
		struct member *m = a->members;

		a->members = m->next;
		buf_free(&m->body);
		free(m);
	}
	if (a->leased)
		lease_release(a->store, &a->lease, NULL);
	free(a);
}

void save_closep(struct save **a)
{
	save_close(*a);
}

/* ---- giving it out --------------------------------------------------------- */

static int enter(struct save *a, struct member *m, struct err *err)
{
	struct position *p = &a->at;

	p->member = m;
	p->offset = 0;
	if (!m)
		return OK;
	buf_reset(&p->header);
	if (!tar_member_header(&m->tar, &p->header))
		return fail_nomem(err);
	if (!digest_is_set(&m->digest))
		return OK;
	hasher_init(&p->hasher, m->digest.algorithm);
	return content_open(a->store, &m->digest, &p->fd, &(int64_t){ 0 }, err);
}

static int leave(struct save *a, struct err *err)
{
	struct member *m = a->at.member;

	if (a->at.fd >= 0) {
		struct digest found = hasher_final(&a->at.hasher);
		char text[DIGEST_TEXT_MAX];

		close(take_fd(&a->at.fd));
		if (!digest_eq(&found, &m->digest))
			return fail(err, E_CORRUPT, "blob %s is damaged; run 'imagectl system check --repair'",
				    digest_text(&m->digest, text));
	}
	return enter(a, m->next, err);
}

static int read_blob(struct position *p, int64_t offset, uint8_t *data, size_t len, struct err *err)
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
	hasher_update(&p->hasher, data, len);
	return OK;
}

/* The next bytes of the member, of one of its three parts. */
static int read_member(struct save *a, uint8_t *data, size_t size, size_t *ret_len, struct err *err)
{
	struct position *p = &a->at;
	const struct member *m = p->member;
	int64_t header = (int64_t)p->header.len, data_end = header + m->tar.size;
	int64_t end = data_end + (int64_t)tar_padding(m->tar.size), offset = p->offset;
	size_t len;
	int r = OK;

	if (offset < header) {
		len = min_size((uint64_t)(header - offset), size);
		memcpy(data, p->header.data + offset, len);
	} else if (offset < data_end) {
		len = min_size((uint64_t)(data_end - offset), size);
		if (p->fd >= 0)
			r = read_blob(p, offset - header, data, len, err);
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

static size_t read_end(struct position *p, uint8_t *data, size_t size)
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

int save_open_selection(struct store *s, const struct selection *x, bool docker, struct save **ret_save,
			struct err *err)
{
	CLEANUP(save_closep) struct save *a = calloc(1, sizeof *a);
	int r;

	if (!a)
		return fail_nomem(err);
	a->store = s;
	a->last = &a->members;
	a->at.fd = -1;
	a->at.header = (struct buf)BUF_INIT(HEADER_MAX);
	r = plan(a, x, docker, err);
	if (r == OK)
		r = enter(a, a->members, err);
	if (r != OK)
		return r;
	*ret_save = TAKE(a);
	return OK;
}

int save_open(struct store *s, char *const *images, size_t n, const struct platform *platform, struct save **ret_save,
	      struct err *err)
{
	CLEANUP(selection_free) struct selection x = { .n_images = 0 };
	int r = selection_make(s, images, n, platform, &x, err);

	return r == OK ? save_open_selection(s, &x, true, ret_save, err) : r;
}
