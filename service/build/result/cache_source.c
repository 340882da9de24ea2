#include "service/build/result/cache_source.h"

#include <sys/stat.h>

#include "service/image/convert.h"
#include "store/archive/documents.h"
#include "store/types/oci_layout.h"

enum { IMAGE_BYTES_MAX = 64 * 1024 * 1024 };

void cache_source_close(struct cache_source *s)
{
	repository_unref(s->repository);
	manifest_free(&s->manifest);
	cache_document_free(&s->document);
	*s = (struct cache_source){ .repository = NULL };
}

/* ---- what a document is ---------------------------------------------------------- */

static bool is_of_buildkit(struct bytes body)
{
	return memmem(body.data, body.len, BUILDKIT_CACHE_TYPE, sizeof BUILDKIT_CACHE_TYPE - 1);
}

static int fail_buildkit(struct err *err)
{
	return fail(err, E_UNSUPPORTED, "it is a cache that BuildKit wrote, which only BuildKit can use");
}

static int take_config(struct cache_source *s, struct bytes config, struct err *err)
{
	bool own = !strcmp(s->manifest.config.media_type, CACHE_CONFIG_TYPE);
	int r = own ? cache_document_parse(config, &s->document, err)
		    : cache_document_parse_inline(config, &s->document, err);

	if (r == OK && s->document.n_diff_ids != s->manifest.n_layers)
		return fail(err, E_BAD_CONTENT, "build cache: %zu diff IDs for %zu layers", s->document.n_diff_ids,
			    s->manifest.n_layers);
	return r;
}

/* ---- a registry ------------------------------------------------------------------ */

/* The manifest itself, or the one of an index for the platform. */
static int fetch_manifest(const struct platform *platform, struct cache_source *s, struct reference *ref,
			  struct cancel *cancel, struct remote_manifest *m, struct err *err)
{
	CLEANUP(index_free) struct index index = { .n_entries = 0 };
	const struct descriptor *entry;
	enum media_kind kind;

	if (registry_manifest(s->repository, ref, cancel, m, err) < 0)
		return err->code;
	if (is_of_buildkit(buf_bytes(&m->body)))
		return fail_buildkit(err);
	if (document_kind(buf_bytes(&m->body), m->media_type, &kind, err) < 0)
		return err->code;
	if (!media_is_index(kind))
		return OK;
	s->of_index = true;
	if (index_parse(buf_bytes(&m->body), &index, err) < 0 || index_choose(&index, platform, &entry, err) < 0)
		return err->code;
	ref->digest = entry->digest;
	remote_manifest_free(m);
	*m = (struct remote_manifest){ .size = 0 };
	return registry_manifest(s->repository, ref, cancel, m, err);
}

static int read_registry(const struct platform *platform, struct cache_source *s, struct reference *ref,
			 struct cancel *cancel, struct remote_manifest *m, struct buf *config, struct err *err)
{
	if (fetch_manifest(platform, s, ref, cancel, m, err) < 0 ||
	    manifest_parse_any(buf_bytes(&m->body), &s->manifest, err) < 0)
		return err->code;
	if (is_of_buildkit(buf_bytes(&m->body)))
		return fail_buildkit(err);
	if (registry_document(s->repository, &s->manifest.config, cancel, config, err) < 0)
		return err->code;
	return take_config(s, buf_bytes(config), err);
}

int cache_source_open_registry(struct image_service *service, const Imaged__V1__BuildStart *start,
			       const Imaged__V1__CacheSource *message, const struct platform *platform,
			       struct cancel *cancel, struct cache_source *s, struct err *err)
{
	struct remote_manifest m = { .size = 0 };
	struct buf config = { .max = 0 };
	struct reference ref = { .tag = "" };
	struct credentials credentials;
	int r;

	if (reference_parse(message->reference, &ref, err) < 0)
		return err->code;
	reference_default_tag(&ref);
	credentials = credentials_of(credentials_among(start->credentials, start->n_credentials, ref.domain));
	if (repository_open(service->registry, &ref, &credentials, &s->repository, err) < 0)
		return err->code;
	r = read_registry(platform, s, &ref, cancel, &m, &config, err);
	remote_manifest_free(&m);
	buf_free(&config);
	return r;
}

/* ---- an image that is here ------------------------------------------------------- */

static int take_image(struct cache_source *s, struct image_content *content, struct err *err)
{
	struct cache_document empty = { .n_steps = 0 };
	int r;

	s->manifest = TAKE(content->manifest);
	r = take_config(s, buf_bytes(&content->config_body), err);
	if (r != E_NOT_FOUND)
		return r;
	s->document = empty;
	return OK;
}

int cache_source_open_image(struct image_service *service, const Imaged__V1__CacheSource *message,
			    struct cache_source *s, bool *ret_found, struct err *err)
{
	CLEANUP(image_content_free) struct image_content content = { .manifest = { .n_layers = 0 } };
	CLEANUP(arena_free) struct arena arena;
	struct err why = ERR_INIT;
	struct image image;
	bool by_id = false;
	int r;

	*ret_found = false;
	arena_init(&arena, IMAGE_BYTES_MAX);
	r = image_resolve(service->store, message->reference, &arena, &image, &by_id, &why);
	if (r == E_NO_SUCH_IMAGE || by_id)
		return OK;
	if (r == OK)
		r = image_content_read(service->store, &image, &content, &why);
	if (r == OK)
		r = take_image(s, &content, &why);
	*ret_found = true;
	if (r != OK && err)
		*err = why;
	return r;
}

/* ---- a layout of the client ------------------------------------------------------ */

static int find_file(struct cache_source *s, const char *path, struct cancel *cancel, struct build_file *ret_file,
		     struct err *err)
{
	const struct context_list *list = build_context_list(s->context);
	uint32_t index = context_list_find(list, bytes_of(path));
	struct context_range range = context_list_range(list, bytes_of(path));

	if (index == CONTEXT_NO_ENTRY || (context_list_mode(list, index) & S_IFMT) != S_IFREG)
		return fail(err, E_NOT_FOUND, "the directory has no file %s", path);
	if (build_context_need(s->context, &range, 1, cancel, err) < 0)
		return err->code;
	build_context_file(s->context, index, ret_file);
	return OK;
}

static int read_piece(const struct build_file *f, int64_t at, void *data, size_t len, struct err *err)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(f->fd, (uint8_t *)data + done, len - done, f->offset + at + (int64_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "read a file of the context");
		if (!n)
			return fail(err, E_IO, "a file of the context has become shorter");
		done += (size_t)n;
	}
	return OK;
}

static int read_file(struct cache_source *s, const char *path, struct cancel *cancel, struct buf *out, struct err *err)
{
	struct build_file f = { .fd = -1 };
	void *to;

	if (find_file(s, path, cancel, &f, err) < 0)
		return err->code;
	if (f.size < 0 || (uint64_t)f.size > out->max || !(to = buf_reserve(out, (size_t)f.size)))
		return fail(err, E_LIMIT, "%s is larger than %zu bytes", path, out->max);
	if (read_piece(&f, 0, to, (size_t)f.size, err) < 0)
		return err->code;
	out->len += (size_t)f.size;
	return OK;
}

static int read_blob(struct cache_source *s, const struct digest *d, struct cancel *cancel, struct buf *out,
		     struct err *err)
{
	char path[TAR_NAME_MAX];
	struct digest found;

	if (read_file(s, blob_member_name(d, path), cancel, out, err) < 0)
		return err->code;
	digest_of((enum digest_algorithm)d->algorithm, buf_bytes(out), &found);
	return digest_eq(&found, d) ? OK : fail(err, E_DIGEST_MISMATCH, "%s is not what its name says", path);
}

/* By digest or tag; without either the one called latest, or the first. */
static const struct descriptor *choose(const struct oci_index *i, const char *reference)
{
	char text[DIGEST_TEXT_MAX];

	for (size_t k = 0; k < i->index.n_entries; k++) {
		const char *wanted = *reference ? reference : "latest";

		if (!strcmp(i->names[k].ref_name, wanted) ||
		    !strcmp(digest_text(&i->index.entries[k].digest, text), wanted))
			return &i->index.entries[k];
	}
	return *reference || !i->index.n_entries ? NULL : &i->index.entries[0];
}

static int choose_manifest(struct cache_source *s, const char *reference, struct cancel *cancel,
			   struct digest *ret_digest, struct err *err)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(MANIFEST_BYTES_MAX);
	CLEANUP(oci_index_free) struct oci_index index = { .names = NULL };
	const struct descriptor *entry;

	if (read_file(s, "index.json", cancel, &body, err) < 0)
		return err->code;
	if (is_of_buildkit(buf_bytes(&body)))
		return fail_buildkit(err);
	if (oci_index_parse(buf_bytes(&body), &index, err) < 0)
		return err->code;
	entry = choose(&index, reference);
	if (!entry)
		return fail(err, E_NOT_FOUND, "the layout has no \"%s\"", reference);
	*ret_digest = entry->digest;
	return OK;
}

int cache_source_open_local(struct build_context *context, const Imaged__V1__CacheSource *message,
			    struct cancel *cancel, struct cache_source *s, struct err *err)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(MANIFEST_BYTES_MAX), config = BUF_INIT(CONFIG_BYTES_MAX);
	struct digest manifest = { .algorithm = DIGEST_NONE };

	s->context = context;
	if (build_context_wait(context, cancel, err) < 0 ||
	    choose_manifest(s, message->reference, cancel, &manifest, err) < 0 ||
	    read_blob(s, &manifest, cancel, &body, err) < 0)
		return err->code;
	if (is_of_buildkit(buf_bytes(&body)))
		return fail_buildkit(err);
	if (manifest_parse_any(buf_bytes(&body), &s->manifest, err) < 0 ||
	    read_blob(s, &s->manifest.config.digest, cancel, &config, err) < 0)
		return err->code;
	return take_config(s, buf_bytes(&config), err);
}

/* ---- blobs ----------------------------------------------------------------------- */

static int copy_blob(struct cache_source *s, const struct descriptor *blob, struct ingest *ingest,
		     struct cancel *cancel, struct err *err)
{
	enum { PIECE_BYTES = 256 * 1024 };
	CLEANUP(freep) uint8_t *piece = malloc(PIECE_BYTES);
	char path[TAR_NAME_MAX];
	struct build_file f = { .fd = -1 };

	if (!piece)
		return fail_nomem(err);
	if (find_file(s, blob_member_name(&blob->digest, path), cancel, &f, err) < 0)
		return err->code;
	for (int64_t at = ingest_offset(ingest); at < f.size;) {
		size_t len = min_size((uint64_t)(f.size - at), PIECE_BYTES);

		if (cancel_check(cancel, err) < 0 || read_piece(&f, at, piece, len, err) < 0 ||
		    ingest_write(ingest, piece, len, err) < 0)
			return err->code;
		at += (int64_t)len;
	}
	return ingest_finish(ingest, err);
}

int cache_source_fetch(struct cache_source *s, const struct descriptor *blob, struct ingest *ingest,
		       struct cancel *cancel, struct err *err)
{
	static const struct fetch_observer nobody = { .progress = NULL };

	if (s->context)
		return copy_blob(s, blob, ingest, cancel, err);
	if (!s->repository)
		return fail(err, E_NOT_FOUND, "the image has not all of its layers here");
	return registry_fetch(s->repository, blob, ingest, &nobody, cancel, err);
}
