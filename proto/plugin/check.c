#include "proto/plugin/check.h"

#include "proto/plugin/names.h"
#include "proto/plugin/options.h"
#include "proto/plugin/symbols.h"
#include "proto/runtime/buf.h"
#include "proto/runtime/codec.h"

enum { MESSAGE_FIELD = 2 };

/* The messages from the method's down to the one that is looked at. */
struct walk {
	struct model *model;
	struct type *chain[CODEC_DEPTH_MAX];
	size_t depth; /* <= CODEC_DEPTH_MAX */
};

static int check_proto3(const struct place *place, struct err *err)
{
	struct place top = { .file = place->file };

	if (strcmp(text_of(place->file->syntax), "proto3") != 0)
		return fail_at(err, source_line(place) ? place : &top,
			       "only proto3 is supported; this file says syntax = \"%s\"",
			       place->file->syntax ? place->file->syntax : "proto2");
	return OK;
}

static int check_field(const struct type *type, const FieldProto *field, const struct place *place, struct err *err)
{
	if (field->has_type && field->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_GROUP)
		return fail_at(err, place, "field %s.%s is a group, which proto3 does not have", type->full_name,
			       text_of(field->name));
	if (field->has_proto3_optional && field->proto3_optional)
		return fail_at(err, place,
			       "field %s.%s is 'optional', which protoc-gen-c does not support; use a oneof with "
			       "this one member",
			       type->full_name, text_of(field->name));
	return OK;
}

/* "a → b → a", from the first time that `type` is in the chain. */
static int fail_recursive(const struct walk *w, const struct type *type, struct err *err)
{
	CLEANUP(buf_free) struct buf chain = BUF_INIT(ERR_TEXT_MAX / 2);
	size_t i = 0;

	while (i < w->depth && w->chain[i] != type)
		i++;
	for (; i < w->depth; i++)
		buf_printf(&chain, "%s → ", w->chain[i]->full_name);
	buf_puts(&chain, type->full_name);
	return fail_at(err, &type->place,
		       "message %s is recursive (%s): it has no greatest depth, so that unpacking it could use up the "
		       "stack; use a flat list with indexes instead",
		       type->full_name, buf_ok(&chain) ? buf_text(&chain) : "...");
}

static int check_type(struct walk *w, struct type *type, struct err *err);

static int check_fields(struct walk *w, struct type *type, struct err *err)
{
	for (size_t i = 0; i < type->proto->n_field; i++) {
		const FieldProto *field = type->proto->field[i];
		struct place place = place_of(&w->model->arena, &type->place, MESSAGE_FIELD, i);
		struct type *inner;
		int r = check_field(type, field, &place, err);

		if (r < 0)
			return r;
		if (!field->has_type || field->type != GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_MESSAGE)
			continue;
		inner = model_type(w->model, text_of(field->type_name));
		if (!inner)
			return fail_at(err, &place,
				       "the type '%s' of field %s.%s is not among the files of the request",
				       text_of(field->type_name), type->full_name, text_of(field->name));
		r = check_type(w, inner, err);
		if (r < 0)
			return r;
	}
	return OK;
}

static int check_type(struct walk *w, struct type *type, struct err *err)
{
	int r;

	if (type->state == TYPE_DONE)
		return OK;
	if (type->state == TYPE_OPEN)
		return fail_recursive(w, type, err);
	if (w->depth == CODEC_DEPTH_MAX)
		return fail_at(err, &type->place, "message %s lies more than %d levels below the message of a method",
			       type->full_name, CODEC_DEPTH_MAX);
	r = check_proto3(&type->place, err);
	if (r < 0)
		return r;
	type->state = TYPE_OPEN;
	w->chain[w->depth++] = type;
	r = check_fields(w, type, err);
	w->depth--;
	type->state = r < 0 ? TYPE_UNSEEN : TYPE_DONE;
	return r;
}

static int check_method(struct walk *w, const struct method *method, struct err *err)
{
	int r;

	if (!name_is_identifier(method->input_c) || !name_is_identifier(method->output_c))
		return fail_at(err, &method->place, "the types of method %s have names that C cannot hold",
			       method->name);
	r = check_type(w, method->input, err);
	if (r < 0)
		return r;
	return check_type(w, method->output, err);
}

/* The messages of the file itself, whether a method uses them or not: where
 * protoc-gen-c would fail on them, its message names no line. */
static int check_messages(struct walk *w, const struct unit *u, struct err *err)
{
	for (size_t i = 0; i < w->model->n_types; i++) {
		const struct type *type = &w->model->types[i];

		for (size_t k = 0; type->place.file == u->file && k < type->proto->n_field; k++) {
			struct place place = place_of(&w->model->arena, &type->place, MESSAGE_FIELD, k);
			int r = check_field(type, type->proto->field[k], &place, err);

			if (r < 0)
				return r;
		}
	}
	return OK;
}

static int check_path(const char *path, struct err *err)
{
	for (const char *p = path; *p; p++)
		if ((uint8_t)*p < ' ' || strchr("\"\\*?", *p))
			return fail(err, E_INVALID, "%s: the name of this file cannot be written into C", path);
	return OK;
}

static int check_role(const struct method *method, struct err *err)
{
	if (!*method->role)
		return fail_at(err, &method->place,
			       "method %s names no role: option (imaged.v1.role) = \"none\", \"read\", \"write\" or "
			       "\"admin\"",
			       method->name);
	if (!options_is_role(method->role))
		return fail_at(err, &method->place, "the role of method %s must be none, read, write or admin",
			       method->name);
	return OK;
}

static const FieldProto *field_named(const struct type *type, const char *name, size_t len)
{
	for (size_t i = 0; i < type->proto->n_field; i++) {
		const char *have = text_of(type->proto->field[i]->name);

		if (strlen(have) == len && !memcmp(have, name, len))
			return type->proto->field[i];
	}
	return NULL;
}

/* One dotted path, which ends at a comma or at the end. */
static bool is_target(struct model *m, const struct type *type, const char *path)
{
	for (;;) {
		size_t len = strcspn(path, ".,");
		const FieldProto *field = type ? field_named(type, path, len) : NULL;

		if (!field)
			return false;
		path += len;
		if (*path != '.')
			return field->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING ||
			       field->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BYTES;
		if (field->label == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED)
			return false;
		type = model_type(m, text_of(field->type_name));
		path++;
	}
}

static int check_target(struct model *m, const struct method *method, struct err *err)
{
	const char *path = method->target;

	while (*path) {
		size_t len = strcspn(path, ",");

		if (!is_target(m, method->input, path))
			return fail_at(err, &method->place,
				       "the target '%.*s' of method %s leads to no string or bytes of its request",
				       (int)len, path, method->name);
		path += len + (path[len] == ',');
	}
	return OK;
}

static int check_options(struct model *m, const struct unit *u, struct err *err)
{
	int r = OK;

	if (m->public_prefix) /* what a client calls says nothing of roles */
		return OK;
	for (size_t i = 0; i < u->n_services; i++) {
		const struct service *s = &u->services[i];

		for (size_t k = 0; r == OK && k < s->n_methods; k++) {
			r = check_role(&s->methods[k], err);
			if (r == OK)
				r = check_target(m, &s->methods[k], err);
		}
	}
	return r;
}

int check_unit(struct model *m, const struct unit *u, struct err *err)
{
	const struct place top = { .file = u->file };
	struct walk w = { .model = m };
	int r = check_path(text_of(u->file->name), err);

	if (r == OK)
		r = check_proto3(&top, err);
	if (r == OK)
		r = check_messages(&w, u, err);
	for (size_t i = 0; r == OK && i < u->n_services; i++) {
		const struct service *s = &u->services[i];

		if (!name_is_identifier(s->lower))
			return fail_at(err, &s->place, "service %s has a name that C cannot hold", s->full_name);
		for (size_t k = 0; r == OK && k < s->n_methods; k++)
			r = check_method(&w, &s->methods[k], err);
	}
	if (r == OK)
		r = symbols_check(m, u, err);
	return r < 0 ? r : check_options(m, u, err);
}
