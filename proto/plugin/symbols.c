#include "proto/plugin/symbols.h"

#include <stdarg.h>
#include <stdio.h>

struct symbol {
	const char *name;
	const struct place *place;
	const char *owner; /* the method or service, for the message */
	size_t order;	   /* in the file */
};

struct table {
	struct arena *arena;
	struct symbol *items;
	size_t n, cap;
	bool failed; /* no memory */
};

static void add(struct table *t, const struct place *place, const char *owner, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void add(struct table *t, const struct place *place, const char *owner, const char *fmt, ...)
{
	char name[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof name, fmt, ap);
	va_end(ap);
	if (t->n == t->cap) {
		t->failed = true;
		return;
	}
	t->items[t->n] = (struct symbol){ arena_string(t->arena, name), place, owner, t->n };
	t->failed |= !t->items[t->n++].name;
}

/* At most SYMBOLS_PER_METHOD. */
enum { SYMBOLS_PER_METHOD = 12, SYMBOLS_PER_SERVICE = 4 };

static void add_stream(struct table *t, const struct service *s, const struct method *m)
{
	static const char *const always[] = { "next", "cancel", "free", "freep" };

	add(t, &m->place, m->name, "%s__open_%s", s->lower, m->lower);
	for (size_t i = 0; i < ARRAY_LEN(always); i++)
		add(t, &m->place, m->name, "%s__%s_%s", s->lower, m->lower, always[i]);
	if (m->server_streaming)
		add(t, &m->place, m->name, "%s__%s_send", s->lower, m->lower);
	if (m->client_streaming) {
		add(t, &m->place, m->name, "%s__%s_recv", s->lower, m->lower);
		add(t, &m->place, m->name, "%s__%s_write", s->lower, m->lower);
		add(t, &m->place, m->name, "%s__%s_close_write", s->lower, m->lower);
	}
}

static void add_method(struct table *t, const struct service *s, const struct method *m, bool plain)
{
	add(t, &m->place, m->name, "%s__%s", s->upper, m->upper);
	add(t, &m->place, m->name, "%s__handle_%s", s->lower, m->lower);
	if (plain)
		add(t, &m->place, m->name, "%s__%s", s->lower, m->lower);
	if (m->client_streaming || m->server_streaming) {
		add_stream(t, s, m);
	} else {
		add(t, &m->place, m->name, "%s__call_%s", s->lower, m->lower);
		add(t, &m->place, m->name, "%s__%s_freep", s->lower, m->lower);
	}
}

/* `plain`: protoc-gen-c writes its own stubs for a file that holds messages. */
static void add_service(struct table *t, const struct service *s, bool plain)
{
	add(t, &s->place, s->full_name, "%s__rpc", s->lower);
	add(t, &s->place, s->full_name, "%s__bind", s->lower);
	if (plain) {
		add(t, &s->place, s->full_name, "%s__init", s->lower);
		add(t, &s->place, s->full_name, "%s__descriptor", s->lower);
	}
	for (size_t i = 0; i < s->n_methods; i++)
		add_method(t, s, &s->methods[i], plain);
}

static int compare(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	if (order)
		return order;
	return x->order < y->order ? -1 : x->order > y->order;
}

int symbols_check(struct model *m, const struct unit *u, struct err *err)
{
	struct table t = { .arena = &m->arena };

	for (size_t i = 0; i < u->n_services; i++)
		t.cap += SYMBOLS_PER_SERVICE + u->services[i].n_methods * SYMBOLS_PER_METHOD;
	t.items = arena_array(&m->arena, t.cap, sizeof *t.items);
	if (!t.items)
		return fail_nomem(err);
	for (size_t i = 0; i < u->n_services; i++)
		add_service(&t, &u->services[i], u->file->n_message_type || u->file->n_enum_type);
	if (t.failed)
		return fail_nomem(err);
	if (t.n)
		qsort(t.items, t.n, sizeof *t.items, compare);
	for (size_t i = 1; i < t.n; i++)
		if (!strcmp(t.items[i - 1].name, t.items[i].name))
			return fail_at(err, t.items[i].place,
				       "%s and %s (line %d) would both be '%s' in C; rename one of them",
				       t.items[i].owner, t.items[i - 1].owner, source_line(t.items[i - 1].place),
				       t.items[i].name);
	return OK;
}
