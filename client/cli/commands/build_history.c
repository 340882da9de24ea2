#include "client/cli/commands/build_history.h"

#include "imaged/v1/image_service.client.h"

enum { PAGE = 1000 };

static const int64_t ns_per_s = 1000000000;

/* ---- the call ------------------------------------------------------------------------ */

void build_pages_free(struct build_pages *p)
{
	for (size_t i = 0; i < p->n; i++)
		imaged__v1__image_service__list_builds_freep(&p->items[i]);
	free(p->items);
}

/* Takes the page, also when it fails. */
static int add_page(struct build_pages *p, Imaged__V1__ListBuildsResponse *page, struct err *err)
{
	Imaged__V1__ListBuildsResponse **items = reallocarray(p->items, p->n + 1, sizeof *items);

	if (!items) {
		imaged__v1__image_service__list_builds_freep(&page);
		return fail_nomem(err);
	}
	p->items = items;
	items[p->n++] = page;
	return OK;
}

int build_pages_fetch(struct cli *cli, const char *id, struct build_pages *ret_pages, struct err *err)
{
	Imaged__V1__ListBuildsRequest request = IMAGED__V1__LIST_BUILDS_REQUEST__INIT;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	request.id = (char *)id;
	request.page_size = PAGE;
	while (!r) {
		Imaged__V1__ListBuildsResponse *page = NULL;

		r = imaged__v1__image_service__call_list_builds(channel, cli_call_options(), &request, &page, err);
		if (!r)
			r = add_page(ret_pages, page, err);
		if (r || !*page->next_page_token)
			break;
		request.page_token = page->next_page_token;
	}
	cli_explain(cli, err);
	return r;
}

const Imaged__V1__BuildInfo *build_pages_first(const struct build_pages *p)
{
	return p->n && p->items[0]->n_builds ? p->items[0]->builds[0] : NULL;
}

/* ---- texts ------------------------------------------------------------------------------ */

const char *build_state_text(Imaged__V1__BuildInfo__State state)
{
	static const char *const texts[] = { "Unknown", "Running", "Completed", "Error", "Canceled", "Interrupted" };

	return texts[(size_t)state < ARRAY_LEN(texts) ? (size_t)state : 0];
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static bool is_usual(const char *dockerfile)
{
	const char *name = last_part(dockerfile);

	return !*name || !strcmp(name, "Dockerfile") || !strcmp(name, "-");
}

void build_name(const Imaged__V1__BuildInfo *m, struct buf *out)
{
	buf_puts(out, last_part(m->context));
	if (!is_usual(m->dockerfile))
		buf_printf(out, "%s%s", *m->context ? "/" : "", last_part(m->dockerfile));
	if (*m->target)
		buf_printf(out, "%s(%s)", out->len ? " " : "", m->target);
}

int64_t build_duration_ns(const Imaged__V1__BuildInfo *m, int64_t now_ns)
{
	int64_t started = m->started ? m->started->seconds * ns_per_s + m->started->nanos : now_ns;
	int64_t ended = m->ended ? m->ended->seconds * ns_per_s + m->ended->nanos : now_ns;

	return ended > started ? ended - started : 0;
}

char *build_duration_text(int64_t ns, char out[BUILD_DURATION_MAX])
{
	int64_t seconds = ns / ns_per_s;

	if (seconds < 60)
		snprintf(out, BUILD_DURATION_MAX, "%.1fs", (double)ns / (double)ns_per_s);
	else if (seconds < 3600)
		snprintf(out, BUILD_DURATION_MAX, "%lldm %02llds", (long long)(seconds / 60),
			 (long long)(seconds % 60));
	else
		snprintf(out, BUILD_DURATION_MAX, "%lldh %02lldm", (long long)(seconds / 3600),
			 (long long)(seconds / 60 % 60));
	return out;
}
