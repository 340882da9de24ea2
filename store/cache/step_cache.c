#include "store/cache/step_cache.h"

#include "proto/runtime/clock.h"
#include "store/cache/step_state.h"

enum { UNWRITTEN_MAX = 4096 };

int step_cache_new(struct store *s, struct step_cache **ret_cache, struct err *err)
{
	struct step_cache *c = calloc(1, sizeof *c);

	if (!c)
		return fail_nomem(err);
	c->store = s;
	pthread_mutex_init(&c->mu, NULL);
	cond_init_monotonic(&c->left);
	*ret_cache = c;
	return OK;
}

void step_cache_free(struct step_cache *c)
{
	if (!c)
		return;
	step_write_uses(c);
	step_pins_free(c);
	pthread_mutex_destroy(&c->mu);
	pthread_cond_destroy(&c->left);
	free(c);
}

/* ---- find ---------------------------------------------------------------------------------- */

static int fail_incomplete(const struct step_result *result, struct err *err)
{
	char text[DIGEST_TEXT_MAX];

	return fail(err, E_NOT_FOUND, "layer %s of a step's result is not whole any more",
		    digest_text(&result->blob, text));
}

/* With the pin, so that what is here stays. *ret_broken: the record is of no use. */
static int read_whole(struct step_cache *c, const struct digest *key, const struct digest *first,
		      struct step_result *ret_result, bool *ret_broken, struct err *err)
{
	CLEANUP(arena_free) struct arena arena;
	step_record *record;
	int64_t size = 0;
	int r;

	arena_init(&arena, RECORD_ARENA_MAX);
	r = step_read(c->store, first, &arena, &record, NULL, err);
	if (r == OK)
		r = step_result_of(record, ret_result, err);
	*ret_broken = r == E_CORRUPT;
	if (r != OK)
		return r;
	if (!digest_eq(key, first) && !step_lists_key(record, key))
		return fail(err, E_NOT_FOUND, "no result of a step has this key any more");
	*ret_broken = !content_claim(c->store, &ret_result->blob, &size) || size != ret_result->blob_size;
	return *ret_broken ? fail_incomplete(ret_result, err) : OK;
}

int step_cache_find(struct step_cache *c, const struct digest *key, struct step_result *ret_result, struct err *err)
{
	struct step_result result;
	struct digest first;
	bool broken = false;
	size_t gone;
	int64_t freed = 0;
	int r = step_first_of(c->store, key, &first, err);

	if (r == OK)
		r = step_pin(c, key, &first, false, err);
	if (r != OK)
		return r;
	r = read_whole(c, key, &first, &result, &broken, err);
	if (r == OK) {
		step_note_use(c, &first, clock_wall_ns());
		*ret_result = result;
		return OK;
	}
	step_cache_unpin(c, key);
	if (!broken)
		return r;
	step_remove(c, &first, 1, NULL, NULL, &gone, &freed, NULL);
	return r == E_CORRUPT ? E_NOT_FOUND : r;
}

void step_cache_unpin(struct step_cache *c, const struct digest *key)
{
	CLEANUP(freep) struct step_old *olds = NULL;
	int64_t freed = 0;
	bool many;
	size_t n;

	step_unpin(c, key, &olds, &n);
	step_let_go(c->store, olds, n, &freed, NULL);
	pthread_mutex_lock(&c->mu);
	many = c->unwritten > UNWRITTEN_MAX;
	pthread_mutex_unlock(&c->mu);
	if (many)
		step_write_uses(c);
}
