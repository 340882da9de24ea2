/* The outputs of a build, one after another. */
#include "service/build/result/result.h"

#include "service/build/result/cache_export.h"
#include "service/build/result/exporting.h"
#include "service/image/compress_layer.h"

typedef Imaged__V1__BuildOutput output_message;

static const struct kind {
	const char *vertex;
	int (*run)(struct exporting *x, struct err *err);
	bool image; /* what BuildDone tells of */
} kinds[] = {
	[IMAGED__V1__BUILD_OUTPUT__KIND__KIND_UNSPECIFIED] = { "exporting to image", export_to_store, true },
	[IMAGED__V1__BUILD_OUTPUT__KIND__KIND_IMAGE] = { "exporting to image", export_to_store, true },
	[IMAGED__V1__BUILD_OUTPUT__KIND__KIND_DOCKER] = { "exporting to docker image format", export_archive, true },
	[IMAGED__V1__BUILD_OUTPUT__KIND__KIND_OCI] = { "exporting to oci image format", export_archive, true },
	[IMAGED__V1__BUILD_OUTPUT__KIND__KIND_TAR] = { "exporting to client tarball", export_tar, false },
	[IMAGED__V1__BUILD_OUTPUT__KIND__KIND_LOCAL] = { "exporting to client directory", export_files, false },
	[IMAGED__V1__BUILD_OUTPUT__KIND__KIND_REGISTRY] = { "exporting to image", export_to_registry, true },
};

/* ---- names ----------------------------------------------------------------------- */

static bool has_name(const struct exporting *x, const struct reference *ref)
{
	for (size_t i = 0; i < x->n_names; i++)
		if (!memcmp(&x->names[i], ref, sizeof *ref))
			return true;
	return false;
}

static int add_name(struct exporting *x, const char *text, struct err *err)
{
	struct reference ref = { .tag = "" };

	if (reference_parse(text, &ref, err) < 0)
		return err_wrap(err, "invalid tag \"%s\"", text);
	if (digest_is_set(&ref.digest))
		return fail(err, E_INVALID_REFERENCE, "invalid tag \"%s\": a digest cannot be given to what is built",
			    text);
	reference_default_tag(&ref);
	if (!has_name(x, &ref))
		x->names[x->n_names++] = ref;
	return OK;
}

/* The output's own, else those of -t. */
static int take_names(struct exporting *x, struct err *err)
{
	bool own = x->output->n_names;
	char *const *names = own ? x->output->names : x->r->start->tags;
	size_t n = own ? x->output->n_names : x->r->start->n_tags;
	int r = OK;

	x->names = arena_array(x->arena, n + 1, sizeof *x->names);
	if (!x->names)
		return fail_nomem(err);
	for (size_t i = 0; r == OK && i < n; i++)
		r = add_name(x, names[i], err);
	return r;
}

/* ---- the image ------------------------------------------------------------------- */

static int add_inline_caches(struct exporting *x, struct err *err)
{
	for (size_t i = 0; x->inline_cache && i < x->made.n; i++)
		if (cache_write_inline(&x->made.images[i], err) < 0)
			return err->code;
	return OK;
}

/* What is asked for is more than what compresses can do. */
static void check_level(const struct exporting *x, enum compression wanted)
{
	bool is_zstd = wanted == COMPRESSION_ZSTD;
	int most = is_zstd ? COMPRESS_ZSTD_LEVEL_MAX : COMPRESS_GZIP_LEVEL;
	Imaged__V1__BuildWarning w = IMAGED__V1__BUILD_WARNING__INIT;
	CLEANUP(freep) char *message = NULL;

	if (wanted == COMPRESSION_NONE || x->output->compression_level <= most)
		return;
	message = format("compression-level=%d: %s is compressed with level %d here, the highest there is",
			 (int)x->output->compression_level, is_zstd ? "zstd" : "gzip", most);
	w.message = message;
	if (message)
		progress_warning(x->r->progress, &w);
}

/* A registry gets plain layers only where somebody says so. */
static int compress(struct exporting *x, bool for_registry, struct err *err)
{
	static const enum compression forms[] = {
		[IMAGED__V1__COMPRESSION__COMPRESSION_UNSPECIFIED] = COMPRESSION_GZIP,
		[IMAGED__V1__COMPRESSION__COMPRESSION_NONE] = COMPRESSION_NONE,
		[IMAGED__V1__COMPRESSION__COMPRESSION_GZIP] = COMPRESSION_GZIP,
		[IMAGED__V1__COMPRESSION__COMPRESSION_ZSTD] = COMPRESSION_ZSTD,
	};
	const output_message *o = x->output;

	if ((size_t)o->compression >= ARRAY_LEN(forms))
		return fail(err, E_INVALID, "unsupported compression %d", (int)o->compression);
	if (o->compression == IMAGED__V1__COMPRESSION__COMPRESSION_UNSPECIFIED && !for_registry)
		return OK;
	check_level(x, forms[o->compression]);
	return made_compress(&x->made, forms[o->compression], o->compression_level, o->force_compression, err);
}

int exporting_make(struct exporting *x, bool for_registry, struct err *err)
{
	const output_message *o = x->output;
	struct made *m = &x->made;

	vertex_status(x->vertex, "exporting layers", 0, 0, false);
	if (made_begin(x->r, o, x->arena, m, err) < 0)
		return err->code;
	if (o->rewrite_timestamp && made_rewrite_times(m, err) < 0)
		return err->code;
	if (add_inline_caches(x, err) < 0 || made_configs(m, err) < 0 || compress(x, for_registry, err) < 0 ||
	    made_documents(m, err) < 0 || made_commit(m, err) < 0)
		return err->code;
	vertex_status(x->vertex, "exporting layers", 0, 0, true);
	return OK;
}

/* ---- an output ------------------------------------------------------------------- */

/* What is told in the end is of the first image. */
static int export_one(const struct result_request *r, const output_message *output, uint32_t number, bool inline_cache,
		      struct arena *a, Imaged__V1__BuildDone *done, struct err *err)
{
	const struct kind *kind;
	struct exporting x = { .r = r, .output = output, .number = number, .arena = a, .inline_cache = inline_cache };
	int rc;

	if ((size_t)output->kind >= ARRAY_LEN(kinds))
		return fail(err, E_INVALID, "output %u is of an unknown kind (%d)", number, (int)output->kind);
	kind = &kinds[output->kind];
	x.vertex = progress_begin(r->progress, kind->vertex, NULL);
	rc = take_names(&x, err);
	if (rc == OK)
		rc = kind->run(&x, err);
	if (rc == OK && kind->image && !*done->digest)
		rc = metadata_fill(&x, done, err);
	made_end(&x.made);
	if (rc == OK)
		vertex_done(x.vertex);
	else
		vertex_failed(x.vertex, err);
	return rc;
}

static bool wants_inline(const Imaged__V1__BuildStart *start)
{
	for (size_t i = 0; i < start->n_cache_to; i++)
		if (!strcmp(start->cache_to[i]->type, "inline"))
			return true;
	return false;
}

int result_export(const struct result_request *r, struct arena *a, Imaged__V1__BuildDone *done, struct err *err)
{
	static const output_message into_store = {
		PROTOBUF_C_MESSAGE_INIT(&imaged__v1__build_output__descriptor),
		.kind = IMAGED__V1__BUILD_OUTPUT__KIND__KIND_IMAGE,
	};
	const Imaged__V1__BuildStart *start = r->start;
	bool inline_cache = wants_inline(start);
	struct err ignored = ERR_INIT;
	int rc = OK;

	err = err ? err : &ignored;
	if (!r->n_built)
		return fail(err, E_INTERNAL, "nothing was built");
	if (!start->n_outputs)
		rc = export_one(r, &into_store, 0, inline_cache, a, done, err);
	for (size_t i = 0; rc == OK && i < start->n_outputs; i++)
		rc = export_one(r, start->outputs[i], (uint32_t)i, inline_cache, a, done, err);
	return rc == OK ? caches_export(r, err) : rc;
}
