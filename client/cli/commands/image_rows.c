/* Rows of `images`: one for each name of an image (docker-cli.md 3). */
#include "client/cli/commands/images.h"

#include "client/cli/convert.h"
#include "client/cli/format/gotime.h"

#define NONE "<none>"

enum field {
	CONTAINERS,
	CREATED_AT,
	CREATED_SINCE,
	DIGEST,
	ID,
	REPOSITORY,
	SHARED_SIZE,
	SIZE,
	TAG,
	UNIQUE_SIZE,
	VIRTUAL_SIZE,
	N_FIELDS,
};

static const struct value_field fields[N_FIELDS] = {
	[CONTAINERS] = { .name = "Containers", .method = true },
	[CREATED_AT] = { .name = "CreatedAt", .method = true },
	[CREATED_SINCE] = { .name = "CreatedSince", .method = true },
	[DIGEST] = { .name = "Digest", .method = true },
	[ID] = { .name = "ID", .method = true },
	[REPOSITORY] = { .name = "Repository", .method = true },
	[SHARED_SIZE] = { .name = "SharedSize", .method = true },
	[SIZE] = { .name = "Size", .method = true },
	[TAG] = { .name = "Tag", .method = true },
	[UNIQUE_SIZE] = { .name = "UniqueSize", .method = true },
	[VIRTUAL_SIZE] = { .name = "VirtualSize", .method = true },
};

static const struct value_type type_row = {
	.name = "formatter.imageContext",
	.kind = VALUE_STRUCT,
	.fields = fields,
	.n_fields = N_FIELDS,
	.json_marshals_escaped = true,
};

struct value image_header(struct arena *a)
{
	static const struct column columns[] = {
		{ "Containers", "CONTAINERS" },
		{ "CreatedAt", "CREATED AT" },
		{ "CreatedSince", "CREATED" },
		{ "Digest", "DIGEST" },
		{ "ID", "IMAGE ID" },
		{ "Repository", "REPOSITORY" },
		{ "SharedSize", "SHARED SIZE" },
		{ "Size", "SIZE" },
		{ "Tag", "TAG" },
		{ "UniqueSize", "UNIQUE SIZE" },
		{ "VirtualSize", "SIZE" },
	};

	return columns_value(a, columns, ARRAY_LEN(columns));
}

static struct value size_or_unknown(struct arena *a, int64_t bytes)
{
	return bytes < 0 ? value_string("N/A") : size_value(a, bytes, 4);
}

struct value image_row_value(struct arena *a, const struct image_row *row, int64_t now_ns)
{
	int64_t created = seconds_of(row->image->created);
	struct value *v = arena_array(a, N_FIELDS, sizeof *v);

	if (!v)
		return value_none();
	v[CONTAINERS] = row->containers < 0 ? value_string("N/A") : value_format(a, "%lld", (long long)row->containers);
	v[CREATED_AT] = time_go(a, created);
	v[CREATED_SINCE] = created == TIME_ZERO ? value_string("") : age_value(a, created, now_ns);
	v[DIGEST] = value_copy(a, text_of(row->digest));
	v[ID] = id_value(a, row->image->id, row->whole_id);
	v[REPOSITORY] = value_copy(a, text_of(row->repository));
	v[SHARED_SIZE] = size_or_unknown(a, row->shared_size);
	v[SIZE] = size_value(a, row->image->size, 3);
	v[TAG] = value_copy(a, text_of(row->tag));
	v[UNIQUE_SIZE] = size_or_unknown(a, row->unique_size);
	v[VIRTUAL_SIZE] = size_value(a, row->image->size, 4);
	return value_pointer_to(value_struct(&type_row, v));
}

/* ---- names of one image --------------------------------------------------- */

struct name {
	char repository[REFERENCE_TEXT_MAX];
	char tag[REFERENCE_TAG_MAX + 1];
	char digest[DIGEST_TEXT_MAX];
	bool done;
};

struct listing {
	const struct images_view *view;
	const Imaged__V1__ImageSummary *image;
	bool show_digests; /* of tags, too */
	struct name *tags, *digests;
	size_t n_tags, n_digests;
	struct arena *arena;
	struct rows *rows;
	size_t n_rows;
	struct err *err;
};

static bool matches(const struct images_view *view, const struct reference *ref)
{
	if (!view->n_references)
		return true;
	for (size_t i = 0; i < view->n_references; i++) {
		bool match = false;

		if (!reference_match(ref, view->references[i], &match, NULL) && match)
			return true;
	}
	return false;
}

static size_t read_names(const struct images_view *view, char **texts, size_t n, struct name *out)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		struct reference ref;
		struct name *name = &out[used];

		if (reference_parse(texts[i], &ref, NULL) || !matches(view, &ref))
			continue;
		reference_familiar_name(&ref, name->repository);
		snprintf(name->tag, sizeof name->tag, "%s", ref.tag);
		name->digest[0] = 0;
		if (digest_is_set(&ref.digest))
			digest_text(&ref.digest, name->digest);
		name->done = false;
		used++;
	}
	return used;
}

static int add_row(struct listing *l, const char *repository, const char *tag, const char *digest)
{
	struct image_row row = {
		.image = l->image,
		.repository = repository,
		.tag = tag,
		.digest = digest,
		.whole_id = l->view->no_trunc,
		.shared_size = -1,
		.unique_size = -1,
		.containers = -1,
	};
	int r = rows_add(l->rows, image_row_value(l->arena, &row, l->view->now_ns), l->err);

	l->n_rows++;
	arena_reset(l->arena, l->arena->cap);
	return r;
}

/* A tag, once or with each digest of its repository. */
static int add_tag(struct listing *l, const struct name *tag)
{
	bool any = false;
	int r = OK;

	for (size_t i = 0; i < l->n_digests && !r; i++) {
		struct name *digest = &l->digests[i];

		if (strcmp(digest->repository, tag->repository))
			continue;
		digest->done = true; /* it gets no row of its own */
		if (!l->show_digests)
			continue;
		any = true;
		r = add_row(l, tag->repository, tag->tag, digest->digest);
	}
	return r || any ? r : add_row(l, tag->repository, tag->tag, NONE);
}

/* A repository that has digests only: one row for each where they are shown. */
static int add_digest(struct listing *l, size_t at)
{
	struct name *digest = &l->digests[at];

	if (digest->done)
		return OK;
	if (l->view->digests)
		return add_row(l, digest->repository, NONE, digest->digest);
	for (size_t i = at; i < l->n_digests; i++)
		if (!strcmp(l->digests[i].repository, digest->repository))
			l->digests[i].done = true;
	return add_row(l, digest->repository, NONE, "");
}

static int add_image(struct listing *l)
{
	int r = OK;

	if (!l->image->n_repo_tags && !l->image->n_repo_digests)
		return add_row(l, NONE, NONE, NONE);
	l->tags = calloc(l->image->n_repo_tags + 1, sizeof *l->tags);
	l->digests = calloc(l->image->n_repo_digests + 1, sizeof *l->digests);
	if (l->tags && l->digests) {
		l->n_tags = read_names(l->view, l->image->repo_tags, l->image->n_repo_tags, l->tags);
		l->n_digests = read_names(l->view, l->image->repo_digests, l->image->n_repo_digests, l->digests);
	} else {
		r = fail_nomem(l->err);
	}
	for (size_t i = 0; i < l->n_tags && !r; i++)
		r = add_tag(l, &l->tags[i]);
	for (size_t i = 0; i < l->n_digests && !r; i++)
		r = add_digest(l, i);
	free(l->tags);
	free(l->digests);
	return r;
}

/* ---- formats -------------------------------------------------------------- */

static const char *raw_format(const struct images_view *view)
{
	if (view->quiet)
		return "image_id: {{.ID}}";
	if (view->digests)
		return "repository: {{ .Repository }}\ntag: {{.Tag}}\ndigest: {{.Digest}}\nimage_id: {{.ID}}\n"
		       "created_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n";
	return "repository: {{ .Repository }}\ntag: {{.Tag}}\nimage_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\n"
	       "virtual_size: {{.Size}}\n";
}

static const char *table_format(const struct images_view *view)
{
	if (view->quiet)
		return "{{.ID}}";
	if (view->digests)
		return "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{if .CreatedSince "
		       "}}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}";
	return "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{if .CreatedSince }}{{.CreatedSince}}{{else}}N/A{{end}}\t"
	       "{{.Size}}";
}

/* The template behind a word, or the one that was given. Free it. */
static char *choose_format(const struct images_view *view)
{
	const char *format_text = view->format;

	if (!format_text || !*format_text || !strcmp(format_text, "table"))
		return strdup(table_format(view));
	if (!strcmp(format_text, "raw"))
		return strdup(raw_format(view));
	if (format_is_table(format_text) && view->digests && !strstr(format_text, "{{.Digest}}"))
		return format("%s\t{{.Digest}}", format_text);
	return strdup(format_text);
}

struct images_output {
	struct listing listing;
	struct arena arena, header_arena;
	struct rows rows;
};

void images_freep(struct images_output **o)
{
	if (!*o)
		return;
	rows_free(&(*o)->rows);
	arena_free(&(*o)->arena);
	arena_free(&(*o)->header_arena);
	free(*o);
}

int images_open(const struct images_view *view, struct images_output **ret_output, struct err *err)
{
	CLEANUP(freep) char *format_text = choose_format(view);
	CLEANUP(images_freep) struct images_output *o = calloc(1, sizeof *o);
	int r;

	if (!format_text || !o)
		return fail_nomem(err);
	arena_init(&o->arena, TEMPLATE_MEMORY_MAX);
	arena_init(&o->header_arena, TEMPLATE_MEMORY_MAX);
	o->listing = (struct listing){ .view = view, .arena = &o->arena, .rows = &o->rows };
	o->listing.show_digests = view->digests || strstr(format_text, "{{.Digest}}");
	r = rows_open(&o->rows, format_text, image_header(&o->header_arena), err);
	if (r)
		return r;
	*ret_output = TAKE(o);
	return OK;
}

int images_add(struct images_output *o, Imaged__V1__ImageSummary *const *images, size_t n, struct err *err)
{
	struct listing *l = &o->listing;
	int r = OK;

	l->err = err;
	for (size_t i = 0; i < n && !r; i++) {
		l->image = images[i];
		l->n_tags = l->n_digests = 0;
		l->tags = l->digests = NULL;
		r = add_image(l);
	}
	return r;
}

int images_finish(struct images_output *o, struct buf *out, size_t *ret_rows, struct err *err)
{
	*ret_rows = o->listing.n_rows;
	return rows_finish(&o->rows, out, err);
}
