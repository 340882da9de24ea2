#include "service/image/removed.h"

static bool grow(struct removed_list *l)
{
	size_t capacity = l->capacity ? l->capacity * 2 : 16;
	Imaged__V1__RemovedItem **items = arena_array(l->arena, capacity, sizeof *items);

	if (!items)
		return false;
	if (l->n)
		memcpy(items, l->items, l->n * sizeof *items);
	l->items = items;
	l->capacity = capacity;
	return true;
}

static Imaged__V1__RemovedItem__Kind kind_message(enum removed_kind kind)
{
	switch (kind) {
	case REMOVED_NAME:
		return IMAGED__V1__REMOVED_ITEM__KIND__KIND_UNTAGGED;
	case REMOVED_IMAGE:
		return IMAGED__V1__REMOVED_ITEM__KIND__KIND_DELETED_IMAGE;
	case REMOVED_CHAIN:
		return IMAGED__V1__REMOVED_ITEM__KIND__KIND_DELETED_LAYER;
	}
	return IMAGED__V1__REMOVED_ITEM__KIND__KIND_UNSPECIFIED;
}

int removed_list_add(void *arg, enum removed_kind kind, const char *value, int64_t size)
{
	enum { OVERHEAD = 32 };
	struct removed_list *l = arg;
	size_t bytes = strlen(value) + OVERHEAD;
	Imaged__V1__RemovedItem *item;

	if (l->bytes + bytes > REMOVED_BYTES_MAX) {
		l->left_out++;
		return OK;
	}
	item = arena_alloc(l->arena, sizeof *item);
	if (!item || (l->n == l->capacity && !grow(l)))
		return E_NO_MEMORY;
	imaged__v1__removed_item__init(item);
	item->kind = kind_message(kind);
	item->value = arena_string(l->arena, value);
	item->size = size;
	if (!item->value)
		return E_NO_MEMORY;
	l->items[l->n++] = item;
	l->bytes += bytes;
	return OK;
}
