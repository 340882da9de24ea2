#include "service/build/csv.h"

struct csv {
	const char *text, *p;
	struct err *err;
};

static int wrong(const struct csv *c, const char *at, const char *what)
{
	return fail(c->err, E_INVALID, "parse error on line 1, column %zu: %s", (size_t)(at - c->text) + 1, what);
}

/* Behind the first quote; "" within is one quote. */
static int take_quoted(struct csv *c, struct buf *out)
{
	for (;; c->p++) {
		if (!*c->p)
			return wrong(c, c->p, "extraneous or missing \" in quoted-field");
		if (*c->p == '"' && *++c->p != '"')
			break;
		buf_putc(out, *c->p);
	}
	if (*c->p && *c->p != ',')
		return wrong(c, c->p - 1, "extraneous or missing \" in quoted-field");
	return OK;
}

static int take_field(struct csv *c, struct buf *out)
{
	if (*c->p == '"') {
		c->p++;
		return take_quoted(c, out);
	}
	for (; *c->p && *c->p != ','; c->p++) {
		if (*c->p == '"')
			return wrong(c, c->p, "bare \" in non-quoted-field");
		buf_putc(out, *c->p);
	}
	return OK;
}

static size_t count_commas(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == ',';
	return n;
}

int csv_fields(const char *text, struct arena *a, struct string_list *ret_fields, struct err *err)
{
	CLEANUP(buf_free) struct buf field = BUF_INIT(strlen(text) + 1);
	struct csv c = { text, text, err };
	struct string_list list = { .items = arena_array(a, count_commas(text) + 1, sizeof *list.items) };

	if (!list.items)
		return fail_nomem(err);
	for (bool more = true; more;) {
		buf_reset(&field);
		if (take_field(&c, &field) < 0)
			return E_INVALID;
		list.items[list.n] = buf_ok(&field) ? arena_string(a, buf_text(&field)) : NULL;
		if (!list.items[list.n++])
			return fail_nomem(err);
		more = *c.p == ',';
		c.p += more;
	}
	*ret_fields = list;
	return OK;
}
