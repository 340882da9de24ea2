#include "service/registry/names.h"

#include <jansson.h>

#include "service/registry/link.h"
#include "store/types/json.h"

void names_free(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->items[i]);
	free(names->items);
	*names = (struct names){ 0 };
}

/* Room for a power of two. */
bool names_push(struct names *names, char *text)
{
	if (!(names->n & (names->n - 1))) {
		size_t room = names->n ? 2 * names->n : 1;
		char **items = reallocarray(names->items, room, sizeof *items);

		if (!items)
			return false;
		names->items = items;
	}
	names->items[names->n++] = text;
	return true;
}

static int add(struct names *names, const json_t *value, const char *member, struct err *err)
{
	char *copy;

	if (!json_is_string(value))
		return fail(err, E_BAD_CONTENT, "%s[%zu] is not a string", member, names->n);
	copy = strdup(json_string_value(value));
	if (copy && names_push(names, copy))
		return OK;
	free(copy);
	return fail_nomem(err);
}

static int add_all(struct names *names, const json_t *list, const char *member, struct err *err)
{
	size_t n = json_array_size(list);
	int r = OK;

	if (list && !json_is_null(list) && !json_is_array(list))
		return fail(err, E_BAD_CONTENT, "%s is not an array", member);
	if (n > NAMES_MAX)
		return fail(err, E_LIMIT, "%s has more than %d items", member, NAMES_MAX);
	for (size_t i = 0; i < n && r == OK; i++)
		r = add(names, json_array_get(list, i), member, err);
	return r;
}

static int wrapped(int code, const char *what, struct err *err)
{
	if (err)
		err_wrap(err, "%s", what);
	return code;
}

int names_parse(struct bytes json, const char *member, struct names *ret_names, struct err *err)
{
	CLEANUP(names_free) struct names names = { 0 };
	json_error_t why;
	json_t *root;
	int r = json_read_light(json, JSON_REJECT_DUPLICATES, &root, &why, err);

	if (r != OK)
		return wrapped(r, member, err);
	if (!json_is_object(root))
		r = fail(err, E_BAD_CONTENT, "%s: not a JSON object", member);
	else
		r = add_all(&names, json_object_get(root, member), member, err);
	json_decref(root);
	if (r == OK)
		*ret_names = TAKE(names);
	return r;
}

void name_page_free(struct name_page *p)
{
	names_free(&p->names);
	free(p->next);
	*p = (struct name_page){ 0 };
}

int name_page_get(struct repository *r, const char *path, const char *query, const char *member, struct cancel *cancel,
		  struct name_page *ret_page, struct reply *ret_reply, struct err *err)
{
	CLEANUP(name_page_free) struct name_page page = { 0 };
	CLEANUP(reply_free) struct reply reply = { 0 };
	CLEANUP(freep) char *whole = format("%s?%s", path, query);
	struct request q = { .method = "GET", .path = whole, .capability = HOST_RESOLVE, .accept = "application/json" };
	int code;

	if (!whole)
		return fail_nomem(err);
	code = request_reply(r, &q, NAMES_BYTES_MAX, cancel, &reply, err);
	if (code == OK && reply.status == 200) {
		code = names_parse(buf_bytes(&reply.body), member, &page.names, err);
		if (code == OK)
			code = reply_next(&reply, &page.next, err);
		if (code != OK)
			return wrapped(code, reply.shown, err);
	}
	if (code != OK)
		return code;
	*ret_page = TAKE(page);
	*ret_reply = TAKE(reply);
	return OK;
}
