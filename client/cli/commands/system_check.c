#include "client/cli/commands/commands.h"
#include "client/cli/convert.h"
#include "client/cli/format/units.h"
#include "client/cli/progress.h"
#include "client/cli/stored_logins.h"
#include "imaged/v1/image_service.client.h"

struct options {
	bool repair, quick;
};

struct check {
	struct progress progress;
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
		r = show(c, event, err);
	cli_explain(cli, err);
	return r;
}

static int run(struct cli *cli, const void *options, UNUSED int argc, UNUSED char **argv)
{
	int width = terminal_width(STDOUT_FILENO);
	struct check c = { .on_terminal = isatty(STDOUT_FILENO) };
	struct err err = ERR_INIT;
	int r;

	cli_config(cli);
	c.progress = (struct progress){ .terminal = c.on_terminal, .width = width ? width : 80, .write = cli_write };
	r = follow(cli, options, &c, &err);
	progress_free(&c.progress);
	if (r)
		return cli_fail_call(&err);
	return c.remaining ? 1 : 0;
}

static const struct flag flags[] = {
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
