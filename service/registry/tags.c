#include "service/registry/tags.h"

#include "service/registry/error_body.h"
#include "service/registry/refusal.h"
#include "store/types/reference.h"

void tag_position_free(struct tag_position *p)
{
	free(p->query);
	free(p->after);
	*p = (struct tag_position){ 0 };
}

/* ---- one page of the registry ------------------------------------------------ */

static char *query_of(const struct tag_position *p, size_t limit)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(4096);

	if (p->query)
		return strdup(p->query);
	buf_printf(&b, "n=%zu", limit);
	if (p->after) {
		buf_puts(&b, "&last=");
		url_encode(&b, p->after);
	}
	return buf_take(&b);
}

static int refusal(const struct repository *r, const struct reply *reply, struct err *err)
{
	struct reference ref = { 0 };
	struct wanted w = { .ref = &ref };
	struct error_body e;

	if (reply->status != 404)
		return refusal_of(r, &w, reply, err);
	error_body_parse(buf_bytes(&reply->body), &e);
	return fail(err, E_NOT_FOUND, "repository %s not found: %s", r->familiar,
		    e.text[0] ? e.text : "the registry answered 404 Not Found");
}

/* What is shown and what is asked for later must be tags. */
static int check_tags(const struct repository *r, const struct names *tags, struct err *err)
{
	for (size_t i = 0; i < tags->n; i++)
		if (!reference_is_tag(tags->items[i]))
			return fail(err, E_BAD_CONTENT, "tags of %s: tags[%zu] is not a valid tag", r->familiar, i);
	return OK;
}

static int get_page(struct repository *r, const struct tag_position *p, size_t limit, struct cancel *cancel,
		    struct name_page *ret_page, struct err *err)
{
	CLEANUP(reply_free) struct reply reply = { 0 };
	CLEANUP(freep) char *path = request_path(r, "tags", "list");
	CLEANUP(freep) char *query = query_of(p, limit);
	int code;

	if (!path || !query)
		return fail_nomem(err);
	code = name_page_get(r, path, query, "tags", cancel, ret_page, &reply, err);
	if (code == OK && reply.status != 200)
		return refusal(r, &reply, err);
	return code == OK ? check_tags(r, &ret_page->names, err) : code;
}

/* ---- from page to page ------------------------------------------------------- */

/* How many tags of the page were given before. */
static size_t given_before(const struct names *tags, const char *after)
{
	for (size_t i = 0; after && i < tags->n; i++)
		if (!strcmp(tags->items[i], after))
			return i + 1;
	return 0;
}

static bool move_some(struct names *from, size_t begin, size_t end, struct names *to)
{
	for (size_t i = begin; i < end; i++) {
		if (!names_push(to, from->items[i]))
			return false;
		from->items[i] = NULL;
	}
	return true;
}

/* The page is cut behind the tag. */
static int stop_within(struct tag_position *p, const char *tag, struct err *err)
{
	char *after = strdup(tag);

	if (!after)
		return fail_nomem(err);
	free(p->after);
	p->after = after;
	return OK;
}

/* The page is done. */
static int turn(struct tag_position *p, struct name_page *page, bool *ret_more, struct err *err)
{
	*ret_more = page->next != NULL;
	free(p->after);
	p->after = NULL;
	free(p->query);
	p->query = TAKE(page->next);
	return p->query ? paging_follow(&p->paging, p->query, err) : OK;
}

static int step(struct repository *r, struct tag_position *p, size_t limit, struct cancel *cancel, struct names *tags,
		bool *ret_more, struct err *err)
{
	CLEANUP(name_page_free) struct name_page page = { 0 };
	size_t begin, end;
	int code = get_page(r, p, limit, cancel, &page, err);

	if (code != OK)
		return code;
	begin = given_before(&page.names, p->after);
	end = begin + min_size(page.names.n - begin, limit - tags->n);
	if (!move_some(&page.names, begin, end, tags))
		return fail_nomem(err);
	if (end == page.names.n)
		return turn(p, &page, ret_more, err);
	*ret_more = true;
	return stop_within(p, tags->items[tags->n - 1], err);
}

int registry_tags(struct repository *r, struct tag_position *position, size_t limit, struct cancel *cancel,
		  struct names *ret_tags, bool *ret_more, struct err *err)
{
	CLEANUP(names_free) struct names tags = { 0 };
	bool more = true;

	while (more && tags.n < limit) {
		int code = step(r, position, limit, cancel, &tags, &more, err);

		if (code != OK)
			return code;
	}
	position->given += tags.n;
	if (position->given > TAGS_MAX)
		return fail(err, E_LIMIT, "repository %s has more than %d tags", r->familiar, TAGS_MAX);
	*ret_tags = TAKE(tags);
	*ret_more = more;
	return OK;
}
