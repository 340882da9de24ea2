#include "client/cli/commands/inspector.h"

#include "client/cli/commands/inspect_types.h"
#include "client/cli/value/json.h"

int inspector_open(struct inspector *i, const char *format, struct err *err)
{
	*i = (struct inspector){ .text = BUF_INIT(TEMPLATE_OUTPUT_MAX) };
	i->compact = format && !strcmp(format, "json");
	if (!format || !*format || i->compact)
		return OK;
	if (template_parse(text_of(format), &i->t, err))
		return err_wrap(err, "template parsing error");
	return OK;
}

void inspector_free(struct inspector *i)
{
	free(i->root);
	template_free(i->t);
	buf_free(&i->text);
}

static int add_json(struct inspector *i, struct arena *a, const Imaged__V1__InspectImageResponse *image,
		    struct err *err)
{
	struct value v = inspect_engine(a, image, i->root);

	if (v.kind == VALUE_NONE)
		return fail_nomem(err);
	if (i->n)
		buf_putc(&i->text, ',');
	if (i->compact)
		return json_put(&i->text, v, false, err);
	buf_puts(&i->text, "\n    ");
	return json_put_indented(&i->text, v, "    ", 1, err);
}

/* A field that the struct has not, or a function that fails on it, is tried again
 * on the JSON; the error of that is the one shown. */
static int add_rendered(struct inspector *i, struct arena *a, const Imaged__V1__InspectImageResponse *image,
			struct err *err)
{
	struct template_options options = { .missing_key_error = i->missing_key_error };
	CLEANUP(buf_free) struct buf one = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct value v = inspect_client(a, image, i->root);
	int r;

	if (v.kind == VALUE_NONE)
		return fail_nomem(err);
	r = template_execute(i->t, &options, v, &one, err);
	if (r) {
		i->missing_key_error = options.missing_key_error = true;
		buf_reset(&one);
		v = inspect_raw(a, inspect_engine(a, image, i->root));
		if (v.kind == VALUE_NONE)
			return fail_nomem(err);
		r = template_execute(i->t, &options, v, &one, err);
	}
	if (r)
		return err_wrap(err, "template parsing error");
	buf_append(&i->text, buf_text(&one), one.len);
	buf_putc(&i->text, '\n');
	return OK;
}

int inspector_add(struct inspector *i, const Imaged__V1__InspectImageResponse *image, struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	int r;

	arena_init(&a, TEMPLATE_MEMORY_MAX);
	r = i->t ? add_rendered(i, &a, image, err) : add_json(i, &a, image, err);
	i->n++;
	return r;
}

int inspector_finish(struct inspector *i, struct buf *out, struct err *err)
{
	const char *close = !i->t ? (i->compact || !i->n ? "]\n" : "\n]\n") : i->text.len ? "" : "\n";

	if (!i->t)
		buf_putc(out, '[');
	buf_append(out, buf_text(&i->text), i->text.len);
	buf_puts(out, close);
	return buf_ok(out) && buf_ok(&i->text) ? OK : fail_nomem(err);
}
