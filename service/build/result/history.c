#include "service/build/result/history.h"

static const char exporter[] = "buildkit.exporter.image.v0";

struct timestamp timestamp_of_ns(int64_t ns)
{
	enum { NS_PER_S = 1000000000 };
	struct timestamp t = { .present = true, .seconds = ns / NS_PER_S, .nanos = (int32_t)(ns % NS_PER_S) };

	if (t.nanos < 0) {
		t.nanos += NS_PER_S;
		t.seconds--;
	}
	return t;
}

/* ---- the base's ------------------------------------------------------------------ */

static size_t count_layers(const struct history *h, size_t from, size_t end)
{
	size_t layers = 0;

	for (size_t i = from; i < end; i++)
		layers += !h[i].empty_layer;
	return layers;
}

static void drop_layers(struct history *h, size_t n, size_t too_many)
{
	for (size_t i = 0; i < n && too_many; i++)
		if (!h[i].empty_layer) {
			h[i].empty_layer = true;
			too_many--;
		}
}

static int add_entries(struct image_config *c, size_t at, size_t n, const struct timestamp *created, struct err *err)
{
	struct history *larger;

	if (n > IMAGE_CONFIG_LIST_MAX - c->n_history)
		return fail(err, E_LIMIT, "an image's history has at most %d entries", IMAGE_CONFIG_LIST_MAX);
	larger = reallocarray(c->history, c->n_history + n, sizeof *larger);
	if (!larger)
		return fail_nomem(err);
	c->history = larger;
	memmove(larger + at + n, larger + at, (c->n_history - at) * sizeof *larger);
	memset(larger + at, 0, n * sizeof *larger);
	c->n_history += n;
	for (size_t i = at; i < at + n; i++) {
		larger[i].created = *created;
		larger[i].comment = strdup(exporter);
		if (!larger[i].comment)
			return fail_nomem(err);
	}
	return OK;
}

/* *n_entries: of the base, at first and afterwards. */
static int fit_base(struct image_config *c, const struct image_config *base, size_t *n_entries, struct err *err)
{
	size_t layers = count_layers(c->history, 0, *n_entries), missing;

	if (layers >= base->n_diff_ids) {
		drop_layers(c->history, *n_entries, layers - base->n_diff_ids);
		return OK;
	}
	missing = base->n_diff_ids - layers;
	if (add_entries(c, *n_entries, missing, &base->created, err) < 0)
		return err ? err->code : E_NO_MEMORY;
	*n_entries += missing;
	return OK;
}

/* ---- times ----------------------------------------------------------------------- */

static struct timestamp first_time(const struct history_times *t)
{
	if (t->all.present)
		return t->all;
	if (t->base && t->base->created.present)
		return t->base->created;
	for (size_t i = 0; i < t->n_layers; i++)
		if (t->layers[i])
			return timestamp_of_ns(t->layers[i]);
	return t->first;
}

void history_date(struct image_config *c, size_t from, const struct history_times *t)
{
	struct timestamp now = first_time(t);
	size_t layer = 0;

	for (size_t i = from; i < c->n_history; i++) {
		if (!c->history[i].empty_layer) {
			if (t->layers[layer] && !t->all.present)
				now = timestamp_of_ns(t->layers[layer]);
			layer++;
		}
		c->history[i].created = now;
	}
	c->created = now;
}

int history_complete(struct image_config *c, const struct history_times *t, size_t *ret_from, struct err *err)
{
	size_t n_base = t->base ? t->base->n_history : 0, layers;

	if (n_base > c->n_history)
		return fail(err, E_INTERNAL, "the history has %zu entries, that of its base %zu", c->n_history, n_base);
	if (t->base && fit_base(c, t->base, &n_base, err) < 0)
		return err ? err->code : E_NO_MEMORY;
	layers = count_layers(c->history, n_base, c->n_history);
	if (!t->base && layers < t->n_layers) { /* of a named context that stands in for an image */
		if (add_entries(c, 0, t->n_layers - layers, &t->first, err) < 0)
			return err ? err->code : E_NO_MEMORY;
		layers = t->n_layers;
	}
	if (layers != t->n_layers)
		return fail(err, E_INTERNAL, "the history tells of %zu layers, and %zu were made", layers, t->n_layers);
	history_date(c, n_base, t);
	*ret_from = n_base;
	return OK;
}
