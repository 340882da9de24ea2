#include "service/registry/catalog.h"

#include <strings.h>

#include "service/registry/paging.h"
#include "store/types/reference.h"

enum catalog_rank catalog_rank(const char *name, const char *word)
{
	const char *slash = strrchr(name, '/');

	if (!strcasecmp(name, word))
		return CATALOG_IS;
	if (slash && !strcasecmp(slash + 1, word))
		return CATALOG_ENDS;
	return strcasestr(name, word) ? CATALOG_HOLDS : CATALOG_LACKS;
}

static int keep_fitting(struct names *from, const char *word, struct names *to, struct err *err)
{
	for (size_t i = 0; i < from->n; i++) {
		char *name = from->items[i];

		if (!reference_is_path(name) || catalog_rank(name, word) == CATALOG_LACKS)
			continue;
		if (!names_push(to, name))
			return fail_nomem(err);
		from->items[i] = NULL;
	}
	return OK;
}

struct walk {
	struct paging paging;
	char *query;
	size_t seen;
	int status;
};

static void cleanup_query(struct walk *w)
{
	free(w->query);
}

/* One page; *ret_more: there is another. */
static int step(struct repository *registry, struct walk *w, const char *word, struct cancel *cancel,
		struct names *names, bool *ret_more, struct err *err)
{
	CLEANUP(name_page_free) struct name_page page = { 0 };
	CLEANUP(reply_free) struct reply reply = { 0 };
	int code = name_page_get(registry, "/v2/_catalog", w->query ? w->query : "n=1000", "repositories", cancel,
				 &page, &reply, err);

	if (code != OK)
		return code;
	w->status = reply.status;
	w->seen += page.names.n;
	free(w->query);
	w->query = TAKE(page.next);
	*ret_more = w->query != NULL;
	code = keep_fitting(&page.names, word, names, err);
	if (code == OK && w->query)
		code = paging_follow(&w->paging, w->query, err);
	return code;
}

int registry_catalog(struct repository *registry, const char *word, struct cancel *cancel, struct names *ret_names,
		     bool *ret_whole, int *ret_status, struct err *err)
{
	CLEANUP(names_free) struct names names = { 0 };
	CLEANUP(cleanup_query) struct walk w = { .status = 200 };
	bool more = true;

	while (more && w.seen < CATALOG_NAMES_MAX) {
		int code = step(registry, &w, word, cancel, &names, &more, err);

		if (code == E_LIMIT) /* pages without end; what was seen is good */
			break;
		if (code != OK)
			return code;
		if (w.status != 200)
			break;
	}
	if (w.status != 200)
		names_free(&names);
	*ret_names = TAKE(names);
	*ret_whole = !more;
	*ret_status = w.status;
	return OK;
}
