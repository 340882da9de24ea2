#include <sys/stat.h>

#include "client/cli/commands/commands.h"
#include "client/cli/convert.h"
#include "client/cli/format/plain_text.h"
#include "client/cli/format/rows.h"
#include "client/cli/format/units.h"
#include "client/cli/object_view.h"
#include "imaged/v1/image_service.client.h"

enum { LINE_BYTES_MAX = 256 * 1024, WHATS_MAX = 16 };

struct options {
	const char *format;
	bool ignore_times, layers, no_trunc, quiet;
};

typedef Imaged__V1__ImageDifference difference;

/* What the stream has told so far. */
struct diff {
	const struct options *options;
	struct rows rows; /* of --format; else unset */
	bool formatted;
	char **layers[2]; /* diff IDs of both images, from the first event */
	size_t n_layers[2];
	bool any;
	Imaged__V1__DiffSummary *summary;
};

enum { FROM, TO };

static void diff_free(struct diff *d)
{
	for (size_t side = 0; side < ARRAY_LEN(d->layers); side++) {
		for (size_t i = 0; i < d->n_layers[side]; i++)
			free(d->layers[side][i]);
		free(d->layers[side]);
	}
	if (d->summary)
		imaged__v1__diff_summary__free_unpacked(d->summary, NULL);
	rows_free(&d->rows);
}

/* ---- words ------------------------------------------------------------------- */

static const char *change_text(difference *m)
{
	switch ((int)m->kind) {
	case IMAGED__V1__IMAGE_DIFFERENCE__KIND__KIND_ADDED:
		return "added";
	case IMAGED__V1__IMAGE_DIFFERENCE__KIND__KIND_REMOVED:
		return "removed";
	default:
		return "changed";
	}
}

/* As `docker diff` marks them. */
static char mark_of(const difference *m)
{
	return m->kind == IMAGED__V1__IMAGE_DIFFERENCE__KIND__KIND_ADDED     ? 'A'
	       : m->kind == IMAGED__V1__IMAGE_DIFFERENCE__KIND__KIND_REMOVED ? 'D'
									     : 'C';
}

static const char *what_text(Imaged__V1__ImageDifference__What what)
{
	static const char *const texts[] = { NULL,   "type",   "mode",	     "owner", "content",
					     "link", "device", "attributes", "time" };

	return (size_t)what < ARRAY_LEN(texts) && texts[what] ? texts[what] : "more";
}

/* The diff ID of a layer that the service counts; "" for one that it did not name. */
static const char *layer_of(const struct diff *d, int side, const Imaged__V1__FileState *state)
{
	return state && state->layer < d->n_layers[side] ? d->layers[side][state->layer] : "";
}

/* ---- lines --------------------------------------------------------------------- */

static void put_layer(struct buf *out, const struct diff *d, const char *diff_id)
{
	struct text id = d->options->no_trunc ? text_of(diff_id) : short_id(diff_id);

	buf_printf(out, "%-12.*s", (int)id.len, id.data);
}

static void put_path(struct buf *out, const difference *m)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(LINE_BYTES_MAX);

	buf_putc(&path, '/');
	if (m->path.len)
		buf_append(&path, m->path.data, m->path.len);
	put_plain(out, buf_text(&path));
}

static void put_whats(struct buf *out, const difference *m)
{
	for (size_t i = 0; i < m->n_what; i++)
		buf_printf(out, "%s%s", i ? ", " : " (", what_text(m->what[i]));
	if (m->n_what)
		buf_putc(out, ')');
}

/* "C 91a83db2f1e0     39B /greeting (content)": no column depends on what comes later. */
static void write_line(const struct diff *d, const difference *m)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(LINE_BYTES_MAX);
	const Imaged__V1__FileState *state = m->to ? m->to : m->from;
	char size[SIZE_TEXT_MAX];

	buf_printf(&line, "%c ", mark_of(m));
	put_layer(&line, d, layer_of(d, m->to ? TO : FROM, state));
	buf_printf(&line, " %7s ", state && S_ISREG(state->mode) ? size_text((double)state->size, 3, size) : "-");
	put_path(&line, m);
	put_whats(&line, m);
	buf_putc(&line, '\n');
	cli_write(buf_text(&line), line.len);
}

/* ---- --format ------------------------------------------------------------------ */

static void add_state(struct object *o, struct arena *a, const struct diff *d, int side, const Imaged__V1__FileState *s)
{
	static const char *const names[2][5] = { { "OldLayer", "OldSize", "OldMode", "OldUser", "OldGroup" },
						 { "Layer", "Size", "Mode", "User", "Group" } };

	object_add(o, names[side][0], value_string(layer_of(d, side, s)));
	object_add(o, names[side][1], value_int64(s ? s->size : 0));
	object_add(o, names[side][2], s ? value_format(a, "%06o", s->mode) : value_string(""));
	object_add(o, names[side][3], value_int64(s ? s->uid : 0));
	object_add(o, names[side][4], value_int64(s ? s->gid : 0));
}

static struct value whats_value(struct arena *a, const difference *m)
{
	char **texts = arena_array(a, WHATS_MAX, sizeof *texts);
	size_t n = m->n_what < WHATS_MAX ? m->n_what : WHATS_MAX;

	for (size_t i = 0; texts && i < n; i++)
		texts[i] = (char *)what_text(m->what[i]);
	return texts ? value_strings(a, texts, n) : value_none();
}

static int write_row(struct diff *d, difference *m, struct err *err)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(LINE_BYTES_MAX);
	CLEANUP(arena_free) struct arena a;
	struct object o = { .type_name = "image.Difference" };
	int r;

	arena_init(&a, TEMPLATE_MEMORY_MAX);
	buf_putc(&path, '/');
	if (m->path.len)
		buf_append(&path, m->path.data, m->path.len);
	object_add(&o, "Change", value_string(change_text(m)));
	object_add(&o, "Path", value_text((struct text){ buf_text(&path), path.len }));
	object_add(&o, "What", whats_value(&a, m));
	add_state(&o, &a, d, TO, m->to);
	add_state(&o, &a, d, FROM, m->from);
	buf_reset(&d->rows.text);
	r = rows_add(&d->rows, object_value(&o), err);
	if (!r)
		cli_write(buf_text(&d->rows.text), d->rows.text.len);
	return r;
}

/* ---- by layer ------------------------------------------------------------------ */

static const struct column columns[] = {
	{ "Image", "IMAGE" },	  { "Layer", "LAYER" },	       { "Added", "ADDED" },	       { "Changed", "CHANGED" },
	{ "Removed", "REMOVED" }, { "AddedSize", "BYTES IN" }, { "RemovedSize", "BYTES OUT" },
};

static int add_layer_row(struct rows *rows, const char *image, struct text layer, const Imaged__V1__DiffCount *c,
			 struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	struct object o = { .type_name = "image.LayerDifference" };

	arena_init(&a, TEMPLATE_MEMORY_MAX);
	if (!c->added && !c->changed && !c->removed)
		return OK;
	object_add(&o, "Image", value_string(image));
	object_add(&o, "Layer", value_text(layer));
	object_add(&o, "Added", value_int64(c->added));
	object_add(&o, "Changed", value_int64(c->changed));
	object_add(&o, "Removed", value_int64(c->removed));
	object_add(&o, "AddedBytes", value_int64(c->added_bytes));
	object_add(&o, "RemovedBytes", value_int64(c->removed_bytes));
	object_add(&o, "AddedSize", size_value(&a, c->added_bytes, 3));
	object_add(&o, "RemovedSize", size_value(&a, c->removed_bytes, 3));
	return rows_add(rows, object_value(&o), err);
}

static int add_layer_rows(struct diff *d, struct rows *rows, char *const *images, struct err *err)
{
	const Imaged__V1__DiffSummary *m = d->summary;
	Imaged__V1__DiffCount *const *counts[] = { m->from_layers, m->to_layers };
	const size_t n[] = { m->n_from_layers, m->n_to_layers };
	int r = OK;

	for (int side = FROM; side <= TO; side++)
		for (size_t i = 0; !r && i < n[side] && i < d->n_layers[side]; i++)
			r = add_layer_row(rows, images[side],
					  d->options->no_trunc ? text_of(d->layers[side][i])
							       : short_id(d->layers[side][i]),
					  counts[side][i], err);
	return r;
}

static int show_layers(struct diff *d, char *const *images, struct err *err)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	CLEANUP(arena_free) struct arena header;
	const char *format = d->options->format;
	struct rows rows;
	int r;

	if (!format || !*format || !strcmp(format, "table"))
		format = "table {{.Image}}\t{{.Layer}}\t{{.Added}}\t{{.Changed}}\t{{.Removed}}\t{{.AddedSize}}\t"
			 "{{.RemovedSize}}";
	arena_init(&header, TEMPLATE_MEMORY_MAX);
	r = rows_open(&rows, format, columns_value(&header, columns, ARRAY_LEN(columns)), err);
	if (!r)
		r = add_layer_rows(d, &rows, images, err);
	if (!r)
		r = rows_finish(&rows, &out, err);
	rows_free(&rows);
	if (!r)
		cli_write(buf_text(&out), out.len);
	return r;
}

/* ---- the call -------------------------------------------------------------------- */

static int keep_layers(struct diff *d, int side, char *const *layers, size_t n, struct err *err)
{
	if (d->layers[side])
		return OK;
	d->layers[side] = calloc(n + 1, sizeof *d->layers[side]);
	if (!d->layers[side])
		return fail_nomem(err);
	for (; d->n_layers[side] < n; d->n_layers[side]++) {
		d->layers[side][d->n_layers[side]] = strdup(layers[d->n_layers[side]]);
		if (!d->layers[side][d->n_layers[side]])
			return fail_nomem(err);
	}
	return OK;
}

static int keep_summary(struct diff *d, const Imaged__V1__DiffSummary *m, struct err *err)
{
	size_t len = imaged__v1__diff_summary__get_packed_size(m);
	CLEANUP(freep) uint8_t *wire = malloc(len + 1);

	if (!wire)
		return fail_nomem(err);
	imaged__v1__diff_summary__pack(m, wire);
	if (!d->summary)
		d->summary = imaged__v1__diff_summary__unpack(NULL, len, wire);
	return d->summary ? OK : fail_nomem(err);
}

static int show(struct diff *d, difference *m, struct err *err)
{
	d->any = true;
	if (d->options->quiet || d->options->layers)
		return OK;
	if (d->formatted)
		return write_row(d, m, err);
	write_line(d, m);
	return OK;
}

static int on_event(struct diff *d, const Imaged__V1__DiffImagesEvent *m, struct err *err)
{
	int r = OK;

	switch (m->event_case) {
	case IMAGED__V1__DIFF_IMAGES_EVENT__EVENT_STARTED:
		r = keep_layers(d, FROM, m->started->from_layers, m->started->n_from_layers, err);
		return r ? r : keep_layers(d, TO, m->started->to_layers, m->started->n_to_layers, err);
	case IMAGED__V1__DIFF_IMAGES_EVENT__EVENT_DIFFERENCES:
		for (size_t i = 0; !r && i < m->differences->n_items; i++)
			r = show(d, m->differences->items[i], err);
		return r;
	case IMAGED__V1__DIFF_IMAGES_EVENT__EVENT_SUMMARY:
		return keep_summary(d, m->summary, err);
	default:
		return OK;
	}
}

static int follow(struct cli *cli, struct diff *d, char **images, struct err *err)
{
	Imaged__V1__DiffImagesRequest request = IMAGED__V1__DIFF_IMAGES_REQUEST__INIT;
	CLEANUP(imaged__v1__image_service__diff_images_freep)
	struct imaged__v1__image_service__diff_images_stream *stream = NULL;
	const Imaged__V1__DiffImagesEvent *event;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	request.from = images[0];
	request.to = images[1];
	request.ignore_times = d->options->ignore_times;
	if (!r)
		r = imaged__v1__image_service__open_diff_images(channel, cli_call_options(), &request, &stream, err);
	while (!r && !cli_output_failed() && (r = imaged__v1__image_service__diff_images_next(stream, &event, err)) > 0)
		r = on_event(d, event, err);
	cli_explain(cli, err);
	return r;
}

static int open_format(struct diff *d, struct err *err)
{
	const char *format = d->options->format;

	d->formatted = format && *format && !d->options->layers;
	if (!d->formatted)
		return OK;
	if (format_is_table(format))
		return fail(err, E_INVALID, "differences come one by one: a table is for --layers only");
	return rows_open(&d->rows, format, value_none(), err);
}

static int run(struct cli *cli, const void *options, UNUSED int argc, char **argv)
{
	CLEANUP(diff_free) struct diff d = { .options = options };
	struct err err = ERR_INIT;

	cli_config(cli);
	if (open_format(&d, &err))
		return cli_fail(&err);
	if (follow(cli, &d, argv, &err))
		return err.code == E_TEMPLATE ? cli_fail(&err) : cli_fail_call(&err);
	if (d.options->layers && d.summary && show_layers(&d, argv, &err))
		return cli_fail(&err);
	return d.options->quiet && d.any;
}

static const struct flag flags[] = {
	{ "format", 0, FLAG_STRING, offsetof(struct options, format), FORMAT_HELP_JSON, NULL },
	{ "ignore-times", 0, FLAG_BOOL, offsetof(struct options, ignore_times),
	  "Leave out files of which only the time differs", NULL },
	{ "layers", 0, FLAG_BOOL, offsetof(struct options, layers), "Count the differences by layer", NULL },
	{ "no-trunc", 0, FLAG_BOOL, offsetof(struct options, no_trunc), "Don't truncate output", NULL },
	{ "quiet", 'q', FLAG_BOOL, offsetof(struct options, quiet),
	  "Print nothing: the exit status is 1 when there are differences", NULL },
};

const struct command_spec spec_image_diff = {
	.usage = "[OPTIONS] IMAGE IMAGE",
	.summary = "Show what the files of two images have not in common",
	.help = "Show what the files of two images have not in common: added (A), removed (D) and\n"
		"changed (C) paths, the layer that each is of, and what of it has changed",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.min_args = 2,
	.max_args = 2,
	.own = true,
	.options_size = sizeof(struct options),
	.run = run,
};
