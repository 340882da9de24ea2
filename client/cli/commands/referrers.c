#include "client/cli/commands/commands.h"
#include "client/cli/convert.h"
#include "client/cli/credentials.h"
#include "client/cli/format/rows.h"
#include "client/cli/format/units.h"
#include "imaged/v1/image_service.client.h"

struct options {
	const char *artifact_type, *format;
	bool no_trunc, quiet;
};

/* ---- rows ------------------------------------------------------------------ */

enum field { ANNOTATIONS, ARTIFACT_TYPE, DIGEST, MEDIA_TYPE, SIZE, N_FIELDS };

static const struct value_field fields[N_FIELDS] = {
	[ANNOTATIONS] = { .name = "Annotations" },
	[ARTIFACT_TYPE] = { .name = "ArtifactType" },
	[DIGEST] = { .name = "Digest" },
	[MEDIA_TYPE] = { .name = "MediaType" },
	[SIZE] = { .name = "Size" },
};

static const struct value_type type_row = {
	.name = "imagectl.referrer",
	.kind = VALUE_STRUCT,
	.fields = fields,
	.n_fields = N_FIELDS,
};

static const struct column columns[] = {
	{ "Annotations", "ANNOTATIONS" },
	{ "ArtifactType", "ARTIFACT TYPE" },
	{ "Digest", "DIGEST" },
	{ "MediaType", "MEDIA TYPE" },
	{ "Size", "SIZE" },
};

static struct value annotations_value(struct arena *a, const Imaged__V1__Descriptor *d)
{
	struct value_pair *pairs = arena_array(a, d->n_annotations + 1, sizeof *pairs);

	if (!pairs)
		return value_none();
	for (size_t i = 0; i < d->n_annotations; i++)
		pairs[i] = (struct value_pair){ text_of(d->annotations[i]->key),
						value_string(d->annotations[i]->value) };
	return value_map(&type_string_map, pairs, d->n_annotations);
}

static struct value digest_value(struct arena *a, const char *digest, bool whole)
{
	enum { SHOWN = 7 + 12 }; /* "sha256:" and as much as of an ID */

	return whole ? value_string(digest) : value_format(a, "%.*s", SHOWN, digest);
}

static struct value row_value(struct arena *a, const struct options *o, const Imaged__V1__Referrer *m)
{
	const Imaged__V1__Descriptor *d = m->descriptor;
	bool table = !o->format || !*o->format || format_is_table(o->format);
	struct value *v = arena_array(a, N_FIELDS, sizeof *v);

	if (!v)
		return value_none();
	v[ANNOTATIONS] = annotations_value(a, d);
	v[ARTIFACT_TYPE] = value_string(m->artifact_type);
	v[DIGEST] = digest_value(a, d->digest, o->no_trunc || o->quiet || !table);
	v[MEDIA_TYPE] = value_string(d->media_type);
	v[SIZE] = table ? size_value(a, d->size, 3) : value_int64(d->size);
	return value_struct(&type_row, v);
}

static const char *choose_format(const struct options *o)
{
	if (o->format && *o->format && strcmp(o->format, "table") != 0)
		return o->format;
	return o->quiet ? "{{.Digest}}" : "table {{.Digest}}\t{{.ArtifactType}}\t{{.Size}}";
}

static int render(const struct options *o, const Imaged__V1__ListReferrersResponse *m, struct buf *out, struct err *err)
{
	CLEANUP(arena_free) struct arena arena, header;
	CLEANUP(rows_free) struct rows rows;
	int r;

	arena_init(&arena, TEMPLATE_MEMORY_MAX);
	arena_init(&header, TEMPLATE_MEMORY_MAX);
	r = rows_open(&rows, choose_format(o), columns_value(&header, columns, ARRAY_LEN(columns)), err);
	for (size_t i = 0; i < m->n_referrers && !r; i++) {
		r = rows_add(&rows, row_value(&arena, o, m->referrers[i]), err);
		arena_reset(&arena, arena.cap);
	}
	return r ? r : rows_finish(&rows, out, err);
}

/* ---- the call -------------------------------------------------------------- */

static int fetch(struct cli *cli, const struct options *o, const struct reference *ref,
		 Imaged__V1__ListReferrersResponse **ret, struct err *err)
{
	Imaged__V1__ListReferrersRequest request = IMAGED__V1__LIST_REFERRERS_REQUEST__INIT;
	CLEANUP(credentials_free) struct credentials credentials = { .login = { .username = NULL } };
	char text[REFERENCE_TEXT_MAX];
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	if (r)
		return r;
	request.reference = reference_text(ref, text);
	request.artifact_type = (char *)(o->artifact_type ? o->artifact_type : "");
	request.credentials = credentials_for(cli, ref, &credentials);
	r = imaged__v1__image_service__call_list_referrers(channel, cli_call_options(), &request, ret, err);
	cli_explain(cli, err);
	return r;
}

static int run(struct cli *cli, const void *options, UNUSED int argc, char **argv)
{
	CLEANUP(imaged__v1__image_service__list_referrers_freep) Imaged__V1__ListReferrersResponse *response = NULL;
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	const struct options *o = options;
	struct err err = ERR_INIT;
	struct reference ref;

	cli_config(cli);
	if (reference_parse(argv[0], &ref, &err))
		return cli_fail(&err);
	if (fetch(cli, o, &ref, &response, &err))
		return cli_fail_call(&err);
	if (render(o, response, &out, &err))
		return cli_fail(&err);
	cli_write(buf_text(&out), out.len);
	return 0;
}

static const struct flag flags[] = {
	{ "artifact-type", 0, FLAG_STRING, offsetof(struct options, artifact_type), "Show only referrers of this type",
	  NULL },
	{ "format", 0, FLAG_STRING, offsetof(struct options, format), FORMAT_HELP_TABLE, NULL },
	{ "no-trunc", 0, FLAG_BOOL, offsetof(struct options, no_trunc), "Don't truncate output", NULL },
	{ "quiet", 'q', FLAG_BOOL, offsetof(struct options, quiet), "Only show digests", NULL },
};

const struct command_spec spec_referrers = {
	.usage = "[OPTIONS] NAME[:TAG|@DIGEST]",
	.summary = "List what refers to an image of a registry",
	.help = "List what refers to an image of a registry: signatures, attestations, bills of\nmaterials.",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.min_args = 1,
	.max_args = 1,
	.own = true,
	.options_size = sizeof(struct options),
	.run = run,
};
