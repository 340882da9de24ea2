#include "client/cli/commands/search.h"

#include "client/cli/commands/commands.h"
#include "client/cli/credentials.h"
#include "client/cli/search_filter.h"
#include "imaged/v1/image_service.client.h"

enum { DOMAIN_MAX = 256 };

struct options {
	struct strings filters;
	const char *format;
	int64_t limit;
	bool no_trunc, hub_api;
};

/* The registry that a term names by docker's rule; false: Docker Hub, where nobody needs
 * to be known to search. */
static bool domain_of(const char *term, char out[DOMAIN_MAX])
{
	const char *slash = strchr(term, '/');
	size_t len = slash ? (size_t)(slash - term) : 0;

	if (!len || len >= DOMAIN_MAX)
		return false;
	memcpy(out, term, len);
	out[len] = 0;
	return strpbrk(out, ".:") || !strcmp(out, "localhost");
}

/* The service checks the range; less than 1 lets it choose, as docker does. */
static int32_t limit_of(int64_t limit)
{
	return limit <= 0 ? 0 : limit > INT32_MAX ? INT32_MAX : (int32_t)limit;
}

static int fetch(struct cli *cli, const struct options *o, const char *term, Imaged__V1__SearchRequest *request,
		 Imaged__V1__SearchResponse **ret, struct err *err)
{
	CLEANUP(credentials_free) struct credentials credentials = { 0 };
	char domain[DOMAIN_MAX];
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	request->term = (char *)term;
	request->limit = limit_of(o->limit);
	request->hub_api = o->hub_api;
	request->index_only = cli_is_docker(cli); /* docker knows no catalog */
	if (!r) {
		request->credentials = domain_of(term, domain) ? credentials_for_registry(cli, domain, &credentials)
							       : NULL;
		r = imaged__v1__image_service__call_search(channel, cli_call_options(), request, ret, err);
	}
	cli_explain(cli, err);
	return r;
}

static int run(struct cli *cli, const void *options, UNUSED int argc, char **argv)
{
	const struct options *o = options;
	CLEANUP(imaged__v1__image_service__search_freep) Imaged__V1__SearchResponse *response = NULL;
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	Imaged__V1__SearchRequest request = IMAGED__V1__SEARCH_REQUEST__INIT;
	struct search_view view = { o->format, o->no_trunc };
	struct err err = ERR_INIT;
	bool automated;
	int r;

	cli_config(cli);
	r = search_filter_parse(&o->filters, &request, &automated, &err);
	if (automated)
		cli_warn("WARNING: the \"is-automated\" filter is deprecated, and searching for \"is-automated=true\" "
			 "will not yield any results in future.\n");
	if (r || fetch(cli, o, argv[0], &request, &response, &err))
		return cli_fail_call(&err);
	if (*response->warning)
		cli_warn("WARNING: %s\n", response->warning);
	if (search_render(&view, response->results, response->n_results, &out, &err)) {
		cli_fail(&err);
		return 1;
	}
	cli_write(buf_text(&out), out.len);
	return 0;
}

static const struct flag flags[] = {
	{ "filter", 'f', FLAG_FILTERS, offsetof(struct options, filters), "Filter output based on conditions provided",
	  NULL },
	{ "format", 0, FLAG_STRING, offsetof(struct options, format), "Pretty-print search using a Go template", NULL },
	{ "hub-api", 0, FLAG_BOOL | FLAG_OWN, offsetof(struct options, hub_api),
	  "Ask the newer interface of Docker Hub, which finds more", NULL },
	{ "limit", 0, FLAG_INT, offsetof(struct options, limit), "Max number of search results", NULL },
	{ "no-trunc", 0, FLAG_BOOL, offsetof(struct options, no_trunc), "Don't truncate output", NULL },
};

const struct command_spec spec_search = {
	.usage = "[OPTIONS] TERM",
	.summary = "Search Docker Hub for images",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.min_args = 1,
	.max_args = 1,
	.options_size = sizeof(struct options),
	.run = run,
};
