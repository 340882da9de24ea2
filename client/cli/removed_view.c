#include "client/cli/removed_view.h"

#include "client/cli/format/units.h"
#include "client/cli/object_view.h"

enum { ITEMS_BYTES_MAX = 256 * 1024 * 1024, LINE_MAX_BYTES = 4096 };

enum field { ACTION, OBJECT, SIZE, N_FIELDS };

static const struct value_field fields[N_FIELDS] = {
	[ACTION] = { .name = "Action" },
	[OBJECT] = { .name = "Object" },
	[SIZE] = { .name = "Size" },
};

static const struct value_type type_item = {
	.name = "image.Removed",
	.kind = VALUE_STRUCT,
	.fields = fields,
	.n_fields = N_FIELDS,
};

static const struct value_type type_items = { .name = "[]image.Removed", .kind = VALUE_LIST, .elem = &type_item };

int removed_view_init(struct removed_view *v, const char *format, bool dry_run, struct err *err)
{
	*v = (struct removed_view){ .as_object = format && *format, .dry_run = dry_run };
	arena_init(&v->arena, ITEMS_BYTES_MAX);
	return v->as_object ? object_check_format(format, err) : OK;
}

void removed_view_free(struct removed_view *v)
{
	free(v->items);
	arena_free(&v->arena);
}

/* ---- items ------------------------------------------------------------------ */

static bool is_untagged(const Imaged__V1__RemovedItem *item)
{
	return item->kind == IMAGED__V1__REMOVED_ITEM__KIND__KIND_UNTAGGED;
}

static struct value item_value(struct arena *a, const Imaged__V1__RemovedItem *item)
{
	struct value *v = arena_array(a, N_FIELDS, sizeof *v);

	if (!v)
		return value_none();
	v[ACTION] = value_string(is_untagged(item) ? "untagged" : "deleted");
	v[OBJECT] = value_copy(a, text_of(item->value));
	v[SIZE] = value_int64(item->size);
	return value_struct(&type_item, v);
}

static int keep(struct removed_view *v, const Imaged__V1__RemovedItem *item, struct err *err)
{
	if (v->n_items == v->room) {
		size_t room = v->room ? 2 * v->room : 64;
		struct value *items = reallocarray(v->items, room, sizeof *items);

		if (!items)
			return fail_nomem(err);
		v->items = items;
		v->room = room;
	}
	v->items[v->n_items] = item_value(&v->arena, item);
	return v->items[v->n_items++].kind == VALUE_NONE ? fail_nomem(err) : OK;
}

static void write_line(const struct removed_view *v, const Imaged__V1__RemovedItem *item)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(LINE_MAX_BYTES);

	buf_printf(&line, "%s: %s\n", is_untagged(item) ? v->untagged : v->deleted, item->value);
	v->write(buf_text(&line), line.len);
}

static void write_left_out(const struct removed_view *v, int64_t n)
{
	char line[64];
	int len = snprintf(line, sizeof line, "... and %lld more\n", (long long)n);

	v->write(line, (size_t)len);
}

static int add_item(struct removed_view *v, const Imaged__V1__RemovedItem *item, struct err *err)
{
	v->n++;
	if (item->kind == IMAGED__V1__REMOVED_ITEM__KIND__KIND_DELETED_LAYER)
		v->reclaimed += item->size;
	if (v->as_object)
		return keep(v, item, err);
	write_line(v, item);
	return OK;
}

int removed_view_add(struct removed_view *v, Imaged__V1__RemovedItem *const *items, size_t n, int64_t left_out,
		     int64_t freed, struct err *err)
{
	int r = OK;

	for (size_t i = 0; r == OK && i < n; i++)
		r = add_item(v, items[i], err);
	v->left_out += left_out;
	v->freed += freed;
	if (left_out && !v->as_object)
		write_left_out(v, left_out);
	return r;
}

/* ---- the end ---------------------------------------------------------------- */

void removed_view_total(const struct removed_view *v)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(LINE_MAX_BYTES);
	char size[SIZE_TEXT_MAX];

	buf_printf(&line, "%s%s: %s", v->n ? "\n" : "",
		   v->dry_run ? "Total space that would be reclaimed" : "Total reclaimed space",
		   size_text((double)v->reclaimed, 4, size));
	if (v->dry_run)
		buf_printf(&line, ", on the disk %s", size_text((double)v->freed, 4, size));
	buf_putc(&line, '\n');
	v->write(buf_text(&line), line.len);
}

int removed_view_render(const struct removed_view *v, const char *format, struct buf *out, struct err *err)
{
	struct object o = { .type_name = "image.Removal" };

	object_add(&o, "Removed", value_list(&type_items, v->items, v->n_items));
	object_add(&o, "LeftOut", value_int64(v->left_out));
	object_add(&o, "Reclaimed", value_int64(v->reclaimed));
	object_add(&o, "Freed", value_int64(v->freed));
	object_add(&o, "DryRun", value_bool(v->dry_run));
	return object_render(format, object_value(&o), out, err);
}
