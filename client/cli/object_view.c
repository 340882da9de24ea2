#include "client/cli/object_view.h"

#include <assert.h>

#include "client/cli/format/rows.h"

void object_add(struct object *o, const char *name, struct value v)
{
	assert(o->n < OBJECT_FIELDS_MAX);
	o->fields[o->n] = (struct value_field){ .name = name };
	o->values[o->n++] = v;
}

struct value object_value(struct object *o)
{
	o->type = (struct value_type){
		.name = o->type_name,
		.kind = VALUE_STRUCT,
		.fields = o->fields,
		.n_fields = o->n,
	};
	return value_struct(&o->type, o->values);
}

int object_check_format(const char *format, struct err *err)
{
	struct rows rows;
	int r = rows_open(&rows, format, value_none(), err);

	rows_free(&rows);
	return r;
}

int object_render(const char *format, struct value v, struct buf *out, struct err *err)
{
	struct rows rows;
	int r = rows_open(&rows, format, value_none(), err);

	if (!r)
		r = rows_add(&rows, v, err);
	if (!r)
		buf_append(out, buf_text(&rows.text), rows.text.len);
	rows_free(&rows);
	return r;
}
