#include "service/build/outline.h"

#include <jansson.h>

#include "proto/runtime/base64.h"
#include "proto/runtime/hash.h"

/* ---- what there is ------------------------------------------------------------------------ */

/* One line of an outline: of an argument, a secret or an agent. */
struct item {
	const char *name, *value, *description;
	bool required;
	struct place place;
};

/* Where the item of a name is. */
struct known {
	size_t at;
	UT_hash_handle hh;
};

struct items {
	struct arena *arena;
	struct item *items;
	size_t n, capacity;
	struct known *known; /* of the arena, but for the table */
};

struct outline {
	struct items args, secrets, agents;
};

/* Each name once: where it stands first. */
static int add_item(struct items *l, const struct item *item, struct err *err)
{
	struct known *known;

	HASH_FIND(hh, l->known, item->name, strlen(item->name), known);
	if (known) {
		l->items[known->at].required |= item->required;
		return OK;
	}
	known = arena_alloc(l->arena, sizeof *known);
	if (!known || arena_grow(l->arena, &l->items, l->n, &l->capacity, sizeof *l->items, err) < 0)
		return fail_nomem(err);
	known->at = l->n;
	HASH_ADD_KEYPTR(hh, l->known, item->name, strlen(item->name), known);
	if (!HASH_ADDED(known))
		return fail_nomem(err);
	l->items[l->n++] = *item;
	return OK;
}

static int add_args(struct outline *o, const struct instruction *i, const struct scope *values, struct err *err)
{
	for (size_t k = 0; k < i->n_pairs; k++) {
		const char *value = scope_value((void *)values, bytes_of(i->pairs[k].key));
		const struct item item = {
			.name = i->pairs[k].key,
			.value = value ? value : "",
			.description = i->pairs[k].description ? i->pairs[k].description : "",
			.place = i->place,
		};

		if (add_item(&o->args, &item, err) < 0)
			return err->code;
	}
	return OK;
}

static int add_mounts(struct outline *o, const struct step *s, struct err *err)
{
	for (size_t k = 0; k < s->run.n_mounts; k++) {
		const struct mount *m = &s->run.mounts[k].mount;
		const struct item item = {
			.name = m->id,
			.value = "",
			.description = "",
			.required = m->required,
			.place = s->instruction->place,
		};

		if ((m->type == MOUNT_SECRET && add_item(&o->secrets, &item, err) < 0) ||
		    (m->type == MOUNT_SSH && add_item(&o->agents, &item, err) < 0))
			return err->code;
	}
	return OK;
}

static int add_stage(struct outline *o, const struct outline_subject *s, size_t stage, struct err *err)
{
	const struct plan_stage *p = &s->plan->stages[stage];
	const struct evaluated_stage *e = &s->evaluation->stages[stage];

	for (size_t k = 0; k < p->n_commands; k++)
		if (p->commands[k].instruction->kind == INSTRUCTION_ARG &&
		    add_args(o, p->commands[k].instruction, &e->args, err) < 0)
			return err->code;
	for (size_t k = 0; k < e->n_steps; k++)
		if (e->steps[k].kind == STEP_RUN && add_mounts(o, &e->steps[k], err) < 0)
			return err->code;
	return OK;
}

static int add_all(const struct outline_subject *s, struct outline *o, struct err *err)
{
	for (size_t i = 0; i < s->plan->file->n_globals; i++)
		if (add_args(o, &s->plan->file->globals[i], &s->plan->globals, err) < 0)
			return err->code;
	for (size_t i = 0; i < s->plan->n; i++)
		if (s->plan->stages[i].reachable && s->plan->stages[i].stage && add_stage(o, s, i, err) < 0)
			return err->code;
	return OK;
}

static int make_outline(const struct outline_subject *s, struct outline *o, struct err *err)
{
	struct arena *a = s->plan->arena;
	int r;

	*o = (struct outline){ { .arena = a }, { .arena = a }, { .arena = a } };
	r = add_all(s, o, err);
	HASH_CLEAR(hh, o->args.known);
	HASH_CLEAR(hh, o->secrets.known);
	HASH_CLEAR(hh, o->agents.known);
	return r;
}

static const struct instruction *from_of(const struct plan *p, size_t stage)
{
	return p->stages[stage].stage ? p->stages[stage].stage->from : NULL;
}

static int finish(const struct buf *out, struct err *err)
{
	return buf_ok(out) ? OK : fail(err, E_LIMIT, "the report is larger than %zu bytes", out->max);
}

/* ---- for people --------------------------------------------------------------------------- */

/* As Go's tabwriter sets columns: as wide as their widest cell and a blank; the last one is
 * as wide as its text. */
struct table {
	size_t columns;
	const char *const *heads;
	const char *(*cell)(const void *rows, size_t row, size_t column);
	const void *rows;
	size_t n;
};

static void write_row(const struct table *t, const size_t *widths, size_t row, struct buf *out)
{
	for (size_t c = 0; c < t->columns; c++) {
		const char *text = row ? t->cell(t->rows, row - 1, c) : t->heads[c];
		int width = c + 1 < t->columns ? (int)widths[c] + 1 : 0;

		buf_printf(out, "%-*s", width, text);
	}
	buf_putc(out, '\n');
}

static void write_table(const struct table *t, struct buf *out)
{
	enum { COLUMNS_MAX = 3 };
	size_t widths[COLUMNS_MAX] = { 0 };

	for (size_t c = 0; c < t->columns; c++)
		for (size_t row = 0; row <= t->n; row++) {
			size_t len = strlen(row ? t->cell(t->rows, row - 1, c) : t->heads[c]);

			widths[c] = len > widths[c] ? len : widths[c];
		}
	for (size_t row = 0; row <= t->n; row++)
		write_row(t, widths, row, out);
}

static const char *arg_cell(const void *rows, size_t row, size_t column)
{
	const struct item *i = (const struct item *)rows + row;

	return column == 0 ? i->name : column == 1 ? i->value : i->description;
}

static const char *required_cell(const void *rows, size_t row, size_t column)
{
	const struct item *i = (const struct item *)rows + row;

	return column == 0 ? i->name : i->required ? "true" : "";
}

static void write_items(const struct items *l, const char *const *heads, size_t columns,
			const char *(*cell)(const void *, size_t, size_t), struct buf *out)
{
	const struct table t = { columns, heads, cell, l->items, l->n };

	if (!l->n)
		return;
	write_table(&t, out);
	buf_putc(out, '\n');
}

static void write_target(const struct plan *p, struct buf *out)
{
	const struct instruction *from = from_of(p, p->target);
	const char *name = from ? from->from.name : "", *text = from ? from->from.description : "";

	if (!*name && !*text)
		return;
	buf_printf(out, "TARGET:%*s%s\n", *text ? 6 : 1, "", *name ? name : "(default)");
	if (*text)
		buf_printf(out, "DESCRIPTION: %s\n", text);
	buf_putc(out, '\n');
}

int outline_text(const struct outline_subject *s, struct buf *out, struct err *err)
{
	static const char *const args[] = { "BUILD ARG", "VALUE", "DESCRIPTION" };
	static const char *const secrets[] = { "SECRET", "REQUIRED" };
	static const char *const agents[] = { "SSH", "REQUIRED" };
	struct outline o;

	if (make_outline(s, &o, err) < 0)
		return err->code;
	write_target(s->plan, out);
	write_items(&o.args, args, ARRAY_LEN(args), arg_cell, out);
	write_items(&o.secrets, secrets, ARRAY_LEN(secrets), required_cell, out);
	write_items(&o.agents, agents, ARRAY_LEN(agents), required_cell, out);
	return finish(out, err);
}

/* "name (default)" */
struct target_row {
	const char *name, *description;
};

static const char *target_cell(const void *rows, size_t row, size_t column)
{
	const struct target_row *r = (const struct target_row *)rows + row;

	return column ? r->description : r->name;
}

static int fill_row(const struct plan *p, size_t stage, struct target_row *row, struct err *err)
{
	const struct instruction *from = from_of(p, stage);
	const char *name = from->from.name;

	row->description = from->from.description;
	row->name = stage + 1 == p->file->n_stages ? arena_printf(p->arena, "%s%s(default)", name, *name ? " " : "")
						   : name;
	return row->name ? OK : fail_nomem(err);
}

int targets_text(const struct outline_subject *s, struct buf *out, struct err *err)
{
	static const char *const heads[] = { "TARGET", "DESCRIPTION" };
	const struct plan *p = s->plan;
	size_t n = p->file->n_stages;
	struct target_row *rows = arena_array(p->arena, n, sizeof *rows);
	const struct table t = { ARRAY_LEN(heads), heads, target_cell, rows, n };

	if (!rows)
		return fail_nomem(err);
	for (size_t i = 0; i < n; i++)
		if (fill_row(p, i, &rows[i], err) < 0)
			return err->code;
	write_table(&t, out);
	return finish(out, err);
}

/* ---- for programs -------------------------------------------------------------------------- */

static json_t *location_of(struct place place)
{
	return json_pack("{s[{s{si}s{si}}]}", "ranges", "start", "line", place.first, "end", "line", place.last);
}

static void set_text(json_t *object, const char *key, const char *value)
{
	if (value && *value)
		json_object_set_new(object, key, json_string(value));
}

static json_t *item_of(const struct item *i)
{
	json_t *o = json_pack("{ss}", "name", i->name);

	set_text(o, "description", i->description);
	set_text(o, "value", i->value);
	if (i->required)
		json_object_set_new(o, "required", json_true());
	json_object_set_new(o, "location", location_of(i->place));
	return o;
}

static void set_items(json_t *object, const char *key, const struct items *l)
{
	json_t *list = json_array();

	for (size_t i = 0; i < l->n; i++)
		json_array_append_new(list, item_of(&l->items[i]));
	if (l->n)
		json_object_set_new(object, key, list);
	else
		json_decref(list);
}

/* The file goes along in base64, as Go does with bytes. */
static json_t *sources_of(struct bytes text)
{
	CLEANUP(buf_free) struct buf data = BUF_INIT(2 * (size_t)DOCKERFILE_MAX);

	base64_encode(&data, text.data, text.len);
	return json_pack("[s]", buf_text(&data));
}

/* Takes the object. */
static int write_json(json_t *object, struct buf *out, struct err *err)
{
	UNUSED CLEANUP(json_decrefp) json_t *taken = object;
	CLEANUP(freep) char *text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;

	if (!text)
		return fail(err, E_INVALID, "the Dockerfile is no UTF-8 text, or memory is short");
	buf_puts(out, text);
	return finish(out, err);
}

int outline_json(const struct outline_subject *s, struct buf *out, struct err *err)
{
	const struct instruction *from = from_of(s->plan, s->plan->target);
	struct outline o;
	json_t *object;

	if (make_outline(s, &o, err) < 0)
		return err->code;
	object = json_object();
	set_text(object, "name", from ? from->from.name : "");
	set_text(object, "description", from ? from->from.description : "");
	set_items(object, "args", &o.args);
	set_items(object, "secrets", &o.secrets);
	set_items(object, "ssh", &o.agents);
	json_object_set_new(object, "sources", sources_of(s->text));
	return write_json(object, out, err);
}

static json_t *target_of(const struct plan *p, size_t stage)
{
	const struct plan_stage *s = &p->stages[stage];
	json_t *o = json_object();

	set_text(o, "name", s->stage->from->from.name);
	if (stage + 1 == p->file->n_stages)
		json_object_set_new(o, "default", json_true());
	set_text(o, "description", s->stage->from->from.description);
	set_text(o, "base", s->base);
	set_text(o, "platform", s->platform);
	json_object_set_new(o, "location", location_of(s->place));
	return o;
}

int targets_json(const struct outline_subject *s, struct buf *out, struct err *err)
{
	json_t *targets = json_array();

	for (size_t i = 0; i < s->plan->file->n_stages; i++)
		json_array_append_new(targets, target_of(s->plan, i));
	return write_json(json_pack("{so so}", "targets", targets, "sources", sources_of(s->text)), out, err);
}
