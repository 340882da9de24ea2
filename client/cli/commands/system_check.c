#include "client/cli/commands/commands.h"
#include "client/cli/convert.h"
#include "client/cli/format/rows.h"
#include "client/cli/format/units.h"
#include "client/cli/object_view.h"
#include "client/cli/progress.h"
#include "client/cli/stored_logins.h"
#include "imaged/v1/image_service.client.h"

struct options {
	const char *format;
	bool repair, quick;
};

struct check {
	struct progress progress;
	struct rows rows; /* of --format; else unset */
	bool formatted;
	bool on_terminal;
	int64_t remaining; /* findings that are not repaired */
};

static const char *kind_text(Imaged__V1__CheckFinding__Kind kind)
{
	switch ((int)kind) {
	case IMAGED__V1__CHECK_FINDING__KIND__KIND_BLOB_DAMAGED:
		return "damaged content";
	case IMAGED__V1__CHECK_FINDING__KIND__KIND_BLOB_MISSING:
		return "missing content";
	case IMAGED__V1__CHECK_FINDING__KIND__KIND_BLOB_UNREFERENCED:
		return "unreferenced content";
	case IMAGED__V1__CHECK_FINDING__KIND__KIND_RECORD_BROKEN:
		return "broken record";
	case IMAGED__V1__CHECK_FINDING__KIND__KIND_LAYER_UNVERIFIED:
		return "unverified layer";
	case IMAGED__V1__CHECK_FINDING__KIND__KIND_LAYER_IMAGE_DAMAGED:
		return "damaged image of layer";
	case IMAGED__V1__CHECK_FINDING__KIND__KIND_LAYER_IMAGE_MISSING:
		return "missing image of layer";
	default:
		return "finding";
	}
}

static void put_images(struct buf *line, const Imaged__V1__CheckFinding *m)
{
	for (size_t i = 0; i < m->n_images; i++) {
		struct text id = short_id(m->images[i]);

		buf_printf(line, "%s%.*s", i ? ", " : " (needed by ", (int)id.len, id.data);
	}
	if (m->n_images)
		buf_putc(line, ')');
}

static void show_finding(struct check *c, const Imaged__V1__CheckFinding *m)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(64 * 1024);

	buf_printf(&line, "%s", kind_text(m->kind));
	if (*m->digest)
		buf_printf(&line, " %s", m->digest);
	if (*m->detail)
		buf_printf(&line, ": %s", m->detail);
	put_images(&line, m);
	if (m->repaired)
		buf_puts(&line, ": repaired");
	else if (*m->repair_error)
		buf_printf(&line, ": not repaired: %s", m->repair_error);
	c->remaining += !m->repaired;
	progress_line(&c->progress, "%s", buf_text(&line));
}

/* As each comes, since a store may have many. */
static int write_row(struct check *c, const Imaged__V1__CheckFinding *m, struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	struct object o = { .type_name = "system.Finding" };
	int r;

	arena_init(&a, TEMPLATE_MEMORY_MAX);
	c->remaining += !m->repaired;
	object_add(&o, "Kind", value_string(kind_text(m->kind)));
	object_add(&o, "Digest", value_string(m->digest));
	object_add(&o, "Detail", value_string(m->detail));
	object_add(&o, "Images", value_strings(&a, m->images, m->n_images));
	object_add(&o, "Repaired", value_bool(m->repaired));
	object_add(&o, "RepairError", value_string(m->repair_error));
	buf_reset(&c->rows.text);
	r = rows_add(&c->rows, object_value(&o), err);
	if (!r)
		cli_write(buf_text(&c->rows.text), c->rows.text.len);
	return r;
}

static int show_row(struct check *c, const Imaged__V1__CheckStoreEvent *event, struct err *err)
{
	return event->event_case == IMAGED__V1__CHECK_STORE_EVENT__EVENT_FINDING ? write_row(c, event->finding, err)
										 : OK;
}

static void show_summary(struct check *c, const Imaged__V1__CheckSummary *m)
{
	char size[SIZE_TEXT_MAX], not_compared[64] = "";

	if (m->layer_images_not_compared)
		snprintf(not_compared, sizeof not_compared, " (%lld by their metadata only)",
			 (long long)m->layer_images_not_compared);
	progress_line(&c->progress, "Checked %lld blobs, %s, and %lld images of layers%s: %lld findings, %lld repaired",
		      (long long)m->blobs, size_text((double)m->bytes, 4, size), (long long)m->layer_images,
		      not_compared, (long long)m->findings, (long long)m->repaired);
}

static int show(struct check *c, const Imaged__V1__CheckStoreEvent *event, struct err *err)
{
	struct progress_count count;

	switch (event->event_case) {
	case IMAGED__V1__CHECK_STORE_EVENT__EVENT_PROGRESS:
		count = (struct progress_count){ event->progress->bytes_checked, event->progress->bytes_total };
		return c->on_terminal ? progress_status(&c->progress, "store", "Checking", &count, err) : OK;
	case IMAGED__V1__CHECK_STORE_EVENT__EVENT_FINDING:
		show_finding(c, event->finding);
		return OK;
	case IMAGED__V1__CHECK_STORE_EVENT__EVENT_SUMMARY:
		show_summary(c, event->summary);
		return OK;
	default:
		return OK;
	}
}

static int follow(struct cli *cli, const struct options *o, struct check *c, struct err *err)
{
	Imaged__V1__CheckStoreRequest request = IMAGED__V1__CHECK_STORE_REQUEST__INIT;
	CLEANUP(imaged__v1__image_service__check_store_freep)
	struct imaged__v1__image_service__check_store_stream *stream = NULL;
	CLEANUP(stored_logins_wipe) struct stored_logins logins = { .n = 0 };
	const Imaged__V1__CheckStoreEvent *event;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	if (!r && o->repair)
		r = stored_logins_load(cli, &logins, err);
	request.repair = o->repair;
	request.quick = o->quick;
	request.credentials = logins.messages;
	request.n_credentials = logins.n;
	if (!r)
		r = imaged__v1__image_service__open_check_store(channel, cli_call_options(), &request, &stream, err);
	while (!r && (r = imaged__v1__image_service__check_store_next(stream, &event, err)) > 0)
		r = c->formatted ? show_row(c, event, err) : show(c, event, err);
	cli_explain(cli, err);
	return r;
}

static void check_free(struct check *c)
{
	progress_free(&c->progress);
	rows_free(&c->rows);
}

static int open_format(struct check *c, const char *format, struct err *err)
{
	c->formatted = format && *format;
	if (!c->formatted)
		return OK;
	if (format_is_table(format))
		return fail(err, E_INVALID, "findings come one by one: there is no table of them");
	return rows_open(&c->rows, format, value_none(), err);
}

static int run(struct cli *cli, const void *options, UNUSED int argc, UNUSED char **argv)
{
	const struct options *o = options;
	int width = terminal_width(STDOUT_FILENO);
	CLEANUP(check_free) struct check c = { .on_terminal = isatty(STDOUT_FILENO) };
	struct err err = ERR_INIT;
	int r;

	if (open_format(&c, o->format, &err))
		return cli_fail(&err);
	cli_config(cli);
	c.progress = (struct progress){ .terminal = c.on_terminal, .width = width ? width : 80, .write = cli_write };
	r = follow(cli, o, &c, &err);
	if (r)
		return err.code == E_TEMPLATE ? cli_fail(&err) : cli_fail_call(&err);
	return c.remaining ? 1 : 0;
}

static const struct flag flags[] = {
	{ "format", 0, FLAG_STRING, offsetof(struct options, format), FORMAT_HELP_JSON, NULL },
	{ "quick", 0, FLAG_BOOL, offsetof(struct options, quick),
	  "Compare sizes and records only, without reading the content", NULL },
	{ "repair", 0, FLAG_BOOL, offsetof(struct options, repair),
	  "Fetch damaged or missing content again from where it came, and make images of layers again", NULL },
};

const struct command_spec spec_system_check = {
	.usage = "[OPTIONS]",
	.summary = "Check the store against its digests",
	.help = "Check every blob against its digest, every record against its blobs, and every\n"
		"image of a layer against what its layer gives.\n"
		"The exit status is 1 when something was found that is not repaired.",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.own = true,
	.options_size = sizeof(struct options),
	.run = run,
};
