/* The tags of a repository, page after page, as they come. */
#include "client/cli/commands/commands.h"
#include "client/cli/credentials.h"
#include "client/cli/format/rows.h"
#include "imaged/v1/image_service.client.h"
#include "store/types/reference.h"

enum { PAGE = 1000 };

struct options {
	const char *format;
};

enum field { REPOSITORY, TAG, N_FIELDS };

static const struct value_field fields[N_FIELDS] = {
	[REPOSITORY] = { .name = "Repository", .method = true },
	[TAG] = { .name = "Tag", .method = true },
};

static const struct value_type type_row = {
	.name = "image.tagContext",
	.kind = VALUE_STRUCT,
	.fields = fields,
	.n_fields = N_FIELDS,
	.json_marshals_escaped = true,
};

static const struct column columns[] = { { "Repository", "REPOSITORY" }, { "Tag", "TAG" } };

static int add_page(struct rows *rows, const char *repository, const Imaged__V1__ListTagsResponse *page,
		    struct err *err)
{
	int r = OK;

	for (size_t i = 0; i < page->n_tags && !r; i++) {
		struct value v[N_FIELDS] = { value_string(repository), value_string(page->tags[i]) };

		r = rows_add(rows, value_pointer_to(value_struct(&type_row, v)), err);
	}
	return r;
}

/* Pages are kept until the last, so that an error in any prints none. */
static int fetch(struct cli *cli, const struct reference *ref, struct rows *rows, struct err *err)
{
	CLEANUP(credentials_free) struct credentials credentials = { 0 };
	CLEANUP(freep) char *token = NULL;
	Imaged__V1__ListTagsRequest request = IMAGED__V1__LIST_TAGS_REQUEST__INIT;
	char name[REFERENCE_TEXT_MAX], shown[REFERENCE_TEXT_MAX];
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	request.repository = reference_name(ref, name);
	request.page_size = PAGE;
	if (!r)
		request.credentials = credentials_for(cli, ref, &credentials);
	while (!r) {
		CLEANUP(imaged__v1__image_service__list_tags_freep) Imaged__V1__ListTagsResponse *page = NULL;

		r = imaged__v1__image_service__call_list_tags(channel, cli_call_options(), &request, &page, err);
		if (!r)
			r = add_page(rows, reference_familiar_name(ref, shown), page, err);
		if (!r && *page->warning && !*request.page_token)
			cli_warn("WARNING: %s\n", page->warning);
		if (r || !*page->next_page_token)
			break;
		free(token);
		token = strdup(page->next_page_token);
		if (!token)
			return fail_nomem(err);
		request.page_token = token;
	}
	cli_explain(cli, err);
	return r;
}

static int list(struct cli *cli, const char *format, const struct reference *ref, struct buf *out, struct err *err)
{
	CLEANUP(arena_free) struct arena header;
	struct rows rows;
	int r;

	arena_init(&header, TEMPLATE_MEMORY_MAX);
	if (!format || !*format)
		format = "{{.Tag}}";
	else if (!strcmp(format, "table"))
		format = "table {{.Repository}}\t{{.Tag}}";
	r = rows_open(&rows, format, columns_value(&header, columns, ARRAY_LEN(columns)), err);
	if (!r)
		r = fetch(cli, ref, &rows, err);
	if (!r)
		r = rows_finish(&rows, out, err);
	rows_free(&rows);
	return r;
}

static int run(struct cli *cli, const void *options, UNUSED int argc, char **argv)
{
	const struct options *o = options;
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct err err = ERR_INIT;
	struct reference ref;

	cli_config(cli);
	if (reference_parse(argv[0], &ref, &err))
		return cli_fail(&err);
	if (*ref.tag || digest_is_set(&ref.digest)) {
		fail(&err, E_UNKNOWN, "\"%s\": the name of a repository was expected, without tag and digest", argv[0]);
		return cli_fail(&err);
	}
	if (list(cli, o->format, &ref, &out, &err)) {
		if (err.code != E_TEMPLATE)
			return cli_fail_call(&err);
		cli_fail(&err);
		return 1;
	}
	cli_write(buf_text(&out), out.len);
	return 0;
}

static const struct flag flags[] = {
	{ "format", 0, FLAG_STRING, offsetof(struct options, format), FORMAT_HELP_LIST, NULL },
};

const struct command_spec spec_tags = {
	.usage = "[OPTIONS] REPOSITORY",
	.summary = "List the tags of a repository in its registry",
	.help = "List the tags of a repository in its registry, one per line",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.min_args = 1,
	.max_args = 1,
	.own = true,
	.options_size = sizeof(struct options),
	.run = run,
};
