#include <sys/stat.h>

#include "proto/runtime/buf.h"
#include "store/contexts/context_list.h"

enum { LINKS_MAX = 40, REST_MAX = 4 * (CONTEXT_PATH_MAX + 1) };

struct resolving {
	const struct context_list *list;
	bool follow_last;
	int links;
	struct buf done;    /* where we are: a path without links; empty: the root */
	uint32_t index;	    /* of it */
	struct buf rest[2]; /* what is left to go, in turns */
	size_t now;	    /* which of both */
	size_t at;	    /* how much of it was taken */
};

static struct bytes take_component(struct resolving *r)
{
	const struct buf *rest = &r->rest[r->now];
	const uint8_t *from = rest->data + r->at, *slash;
	size_t left = rest->len - r->at, len;

	slash = left ? memchr(from, '/', left) : NULL;
	len = slash ? (size_t)(slash - from) : left;
	r->at += len + (slash != NULL);
	return (struct bytes){ from, len };
}

/* Slashes and dots alone are nothing to go. */
static bool has_more(const struct resolving *r)
{
	const struct buf *rest = &r->rest[r->now];

	for (size_t i = r->at; i < rest->len; i++)
		if (rest->data[i] != '/' && rest->data[i] != '.')
			return true;
	return false;
}

static void go_to(struct resolving *r, struct bytes path)
{
	r->done.len = path.len; /* the beginning of what it is */
	if (r->done.data)
		r->done.data[path.len] = 0;
	r->index = path.len ? context_list_find(r->list, path) : CONTEXT_NO_ENTRY;
}

static int fail_missing(const struct resolving *r, struct err *err)
{
	char shown[CONTEXT_SHOWN_MAX];

	return fail(err, E_NOT_FOUND, "\"%s\" is not in the build context",
		    context_path_show(buf_bytes(&r->done), shown));
}

/* The link's target takes the place of its name. */
static int follow(struct resolving *r, struct bytes link, struct err *err)
{
	const struct buf *rest = &r->rest[r->now];
	struct buf *next = &r->rest[!r->now];
	struct bytes from = { 0 };

	if (++r->links > LINKS_MAX)
		return fail(err, E_LIMIT, "too many levels of symbolic links in the build context");
	buf_reset(next);
	buf_append(next, link.data, link.len);
	buf_putc(next, '/');
	buf_append(next, rest->data + r->at, rest->len - r->at);
	if (!buf_ok(next))
		return fail(err, E_LIMIT, "a path through symbolic links of the build context is too long");
	if (link.data[0] != '/')
		from = context_path_parent(buf_bytes(&r->done));
	go_to(r, from);
	r->now = !r->now;
	r->at = 0;
	return OK;
}

static int enter(struct resolving *r, struct bytes name, struct err *err)
{
	struct context_entry e;

	if (r->done.len)
		buf_putc(&r->done, '/');
	if (!buf_append(&r->done, name.data, name.len))
		return fail(err, E_LIMIT, "a path in the build context is too long");
	r->index = context_list_find(r->list, buf_bytes(&r->done));
	if (r->index == CONTEXT_NO_ENTRY)
		return fail_missing(r, err);
	e = context_list_entry(r->list, r->index);
	if (S_ISLNK(e.mode) && (r->follow_last || has_more(r)))
		return follow(r, e.link, err);
	return S_ISDIR(e.mode) || !has_more(r) ? OK : fail_missing(r, err);
}

static bool is(struct bytes b, const char *text)
{
	return b.len == strlen(text) && !memcmp(b.data, text, b.len);
}

static int resolve(struct resolving *r, struct err *err)
{
	int code = OK;

	while (code == OK && r->at < r->rest[r->now].len) {
		struct bytes name = take_component(r);

		if (!name.len || is(name, "."))
			continue;
		if (is(name, ".."))
			go_to(r, context_path_parent(buf_bytes(&r->done)));
		else
			code = enter(r, name, err);
	}
	return code;
}

int context_list_resolve(const struct context_list *l, struct bytes path, bool follow_last, uint32_t *ret_index,
			 struct err *err)
{
	struct resolving r = {
		.list = l,
		.follow_last = follow_last,
		.done = BUF_INIT(2 * CONTEXT_PATH_MAX),
		.index = CONTEXT_NO_ENTRY,
		.rest = { BUF_INIT(REST_MAX), BUF_INIT(REST_MAX) },
	};
	int code = buf_append(&r.rest[0], path.data, path.len)
			   ? resolve(&r, err)
			   : fail(err, E_LIMIT, "a path in the build context is too long");

	if (code == OK)
		*ret_index = r.index;
	buf_free(&r.done);
	buf_free(&r.rest[0]);
	buf_free(&r.rest[1]);
	return code;
}
