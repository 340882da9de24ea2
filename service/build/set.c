#include "service/build/set.h"

int text_set(char **text, const char *value, struct err *err)
{
	char *copy = strdup(value);

	if (!copy)
		return fail_nomem(err);
	free(*text);
	*text = copy;
	return OK;
}

static int too_many(struct err *err)
{
	return fail(err, E_LIMIT, "an image configuration holds at most %d values of a kind", IMAGE_CONFIG_LIST_MAX);
}

/* ---- lists ------------------------------------------------------------------ */

static void free_strings(char **items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(items[i]);
	free(items);
}

void list_clear(struct string_list *l)
{
	free_strings(l->items, l->n);
	*l = (struct string_list){ .present = false };
}

int list_append(struct string_list *l, const char *value, struct err *err)
{
	char **items;

	if (l->n >= IMAGE_CONFIG_LIST_MAX)
		return too_many(err);
	items = reallocarray(l->items, l->n + 1, sizeof *items);
	if (!items)
		return fail_nomem(err);
	l->items = items;
	l->present = true;
	items[l->n] = NULL;
	if (text_set(&items[l->n], value, err) < 0)
		return E_NO_MEMORY;
	l->n++;
	return OK;
}

int list_assign(struct string_list *l, const struct string_list *items, struct err *err)
{
	struct string_list copy = { .present = true };

	for (size_t i = 0; i < items->n; i++) {
		int r = list_append(&copy, items->items[i], err);

		if (r != OK) {
			list_clear(&copy);
			return r;
		}
	}
	list_clear(l);
	*l = copy;
	return OK;
}

/* Where the text is, or belongs. */
static size_t list_place(const struct string_list *l, const char *text)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(l->items[middle], text) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int list_insert(struct string_list *l, const char *value, struct err *err)
{
	size_t at = list_place(l, value);
	char *last;
	int r;

	if (at < l->n && !strcmp(l->items[at], value))
		return OK;
	r = list_append(l, value, err);
	if (r != OK)
		return r;
	last = l->items[l->n - 1];
	memmove(&l->items[at + 1], &l->items[at], (l->n - 1 - at) * sizeof *l->items);
	l->items[at] = last;
	return OK;
}

/* ---- maps ------------------------------------------------------------------- */

/* Where the key is, or belongs. */
static size_t map_place(const struct string_map *m, const char *key)
{
	size_t low = 0, high = m->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(m->pairs[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int map_insert(struct string_map *m, size_t at, const char *key, struct err *err)
{
	struct string_pair *pairs;
	char *name;

	if (m->n >= IMAGE_CONFIG_LIST_MAX)
		return too_many(err);
	pairs = reallocarray(m->pairs, m->n + 1, sizeof *pairs);
	if (pairs)
		m->pairs = pairs;
	name = pairs ? strdup(key) : NULL;
	if (!name)
		return fail_nomem(err);
	memmove(&pairs[at + 1], &pairs[at], (m->n - at) * sizeof *pairs);
	pairs[at] = (struct string_pair){ .key = name };
	m->n++;
	m->present = true;
	return OK;
}

int map_put(struct string_map *m, const char *key, const char *value, struct err *err)
{
	size_t at = map_place(m, key);
	bool is_there = at < m->n && !strcmp(m->pairs[at].key, key);
	int r = is_there ? OK : map_insert(m, at, key, err);

	return r == OK ? text_set(&m->pairs[at].value, value, err) : r;
}
