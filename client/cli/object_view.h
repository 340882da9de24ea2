/*
 * Objects of fixed fields that a command shows as text or under --format: an
 * ordered list of names and values, from which a template sees a struct.
 */
#ifndef CLIENT_CLI_OBJECT_VIEW_H
#define CLIENT_CLI_OBJECT_VIEW_H

#include "client/cli/template/template.h"

enum { OBJECT_FIELDS_MAX = 32 };

struct object {
	const char *type_name;
	struct value_field fields[OBJECT_FIELDS_MAX];
	struct value values[OBJECT_FIELDS_MAX];
	size_t n;
	struct value_type type; /* filled by object_value() */
};

void object_add(struct object *o, const char *name, struct value v);
/* Borrows the object, which must not move afterwards. */
struct value object_value(struct object *o);

/* "template parsing error: …" of a format that is none: for commands that change something
 * before they show it. */
int object_check_format(const char *format, struct err *err);
/* One object under --format ("json" or a template), and a newline.
 * "template parsing error: …". */
int object_render(const char *format, struct value v, struct buf *out, struct err *err);

#endif
