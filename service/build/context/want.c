/* Which files are asked for: those that are needed, not here, and not on their way. */
#include <sys/stat.h>

#include "service/build/context/build_context_state.h"

void wants_free(struct want *w)
{
	while (w) {
		struct want *next = w->next;

		free(w);
		w = next;
	}
}

struct asking {
	struct build_context *c;
	struct want *want; /* being filled */
	uint64_t size;	   /* of its room so far */
	int64_t bytes;
};

static bool test_and_set(uint8_t *bits, uint32_t i)
{
	uint8_t bit = (uint8_t)(1u << i % 8);
	bool was = bits[i / 8] & bit;

	bits[i / 8] |= bit;
	return was;
}

static int new_want(struct asking *a, struct err *err)
{
	a->want = malloc(sizeof *a->want + WANT_FILES_MAX * sizeof *a->want->files);
	a->size = 0;
	if (!a->want)
		return fail_nomem(err);
	a->want->next = NULL;
	a->want->n = 0;
	return OK;
}

/* Into the queue, and out to the client; send_mu keeps both in one order, and the want's
 * memory, whatever the client sends meanwhile. */
static int ask(struct asking *a, struct err *err)
{
	struct build_context *c = a->c;
	struct want *fit = realloc(a->want, sizeof *fit + a->want->n * sizeof *fit->files);
	struct want *w = fit ? fit : a->want;

	a->want = NULL;
	w->begin = context_pack_reserve(c->files->pack, a->size);
	w->end = w->begin + a->size;
	pthread_mutex_lock(&c->mu);
	if (c->last)
		c->last->next = w;
	else
		c->first = w;
	c->last = w;
	c->wants++;
	pthread_mutex_unlock(&c->mu);
	return c->peer.want_files(c->peer.arg, c->name, w->files, w->n, err);
}

static int add(struct asking *a, uint32_t index, struct err *err)
{
	uint64_t size = (uint64_t)context_list_entry(a->c->files->list, index).size;
	uint64_t begin = context_pack_align(a->size, size);
	int r = a->want ? OK : new_want(a, err);

	if (r != OK)
		return r;
	if (size > INT64_MAX / 2 || begin > INT64_MAX / 2 - size)
		return fail(err, E_LIMIT, "build context \"%s\": its files have more bytes than can be", a->c->name);
	a->size = begin + size;
	a->want->files[a->want->n++] = index;
	return a->want->n == WANT_FILES_MAX ? ask(a, err) : OK;
}

static bool is_missing(struct build_context *c, uint32_t index)
{
	struct context_place place;

	return S_ISREG(context_list_mode(c->files->list, index)) && !context_files_get(c->files, index, &place);
}

typedef int each_missing(struct asking *a, uint32_t source, struct err *err);

static int for_missing(struct asking *a, const struct context_range *ranges, size_t n, each_missing *f, struct err *err)
{
	int r = OK;

	for (size_t k = 0; k < n; k++)
		for (uint32_t i = ranges[k].begin; r == OK && i < ranges[k].end; i++)
			if (is_missing(a->c, i))
				r = f(a, context_list_source(a->c->files->list, i), err);
	return r;
}

static int count(struct asking *a, uint32_t source, struct err *err)
{
	int64_t size = context_list_entry(a->c->files->list, source).size;

	if (size > INT64_MAX / 2 - a->bytes)
		return fail(err, E_LIMIT, "build context \"%s\": its files have more bytes than can be", a->c->name);
	a->bytes += size;
	return OK;
}

static int ask_once(struct asking *a, uint32_t source, struct err *err)
{
	return test_and_set(a->c->asked, source) ? OK : add(a, source, err);
}

/* The ticket says how many wants must have come. */
static int ask_for(struct build_context *c, const struct context_range *ranges, size_t n, uint64_t *ret_ticket,
		   struct err *err)
{
	struct asking a = { .c = c };
	int r;

	pthread_mutex_lock(&c->send_mu);
	pthread_mutex_lock(&c->mu);
	r = build_context_check(c, err);
	pthread_mutex_unlock(&c->mu);
	if (r == OK)
		r = for_missing(&a, ranges, n, count, err);
	if (r == OK && a.bytes)
		r = store_reserve(contexts_store(c->contexts), a.bytes, err);
	if (r == OK)
		r = for_missing(&a, ranges, n, ask_once, err);
	if (r == OK && a.want)
		r = ask(&a, err);
	free(a.want);
	pthread_mutex_lock(&c->mu);
	*ret_ticket = c->wants;
	wants_free(TAKE(c->spent));
	pthread_mutex_unlock(&c->mu);
	pthread_mutex_unlock(&c->send_mu);
	return r;
}

static bool has_arrived(const struct build_context *c, uint64_t ticket)
{
	return c->arrived >= ticket;
}

int build_context_need(struct build_context *c, const struct context_range *ranges, size_t n, struct cancel *cancel,
		       struct err *err)
{
	uint64_t ticket = 0;
	int r;

	if (!c->context)
		return OK; /* all is here */
	r = ask_for(c, ranges, n, &ticket, err);
	return r == OK ? build_context_await(c, has_arrived, ticket, cancel, err) : r;
}
