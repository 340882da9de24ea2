#include <stdio.h>

#include "client/cli/commands/commands.h"
#include "client/cli/progress_mode.h"
#include "client/cli/upload.h"
#include "imaged/v1/image_service.client.h"
#include "store/types/reference.h"

#define CLEAR_LINE "\033[2K\r"

enum { LINE_MAX_BYTES = 512 };

struct options {
	struct strings changes;
	const char *message, *platform, *progress;
};

typedef struct imaged__v1__image_service__import_stream stream;

struct importing {
	const char *url; /* NULL: the tar is read here */
	struct input tar;
	struct upload upload;
	bool terminal, json;
	bool started;	/* the service has begun to fetch the URL */
	bool lined;	/* a line of progress stands open */
	struct err own; /* a failure of this machine, of which the service does not know */
};

/* ---- the tar ---------------------------------------------------------------- */

static int send_data(void *s, const uint8_t *data, size_t len, struct err *err)
{
	Imaged__V1__ImportRequest m = IMAGED__V1__IMPORT_REQUEST__INIT;

	m.request_case = IMAGED__V1__IMPORT_REQUEST__REQUEST_DATA;
	m.data = (ProtobufCBinaryData){ len, (uint8_t *)data };
	return imaged__v1__image_service__import_write(s, &m, err);
}

static int send_end(void *s, struct err *err)
{
	return imaged__v1__image_service__import_close_write(s, err);
}

static void cancel(void *s)
{
	imaged__v1__image_service__import_cancel(s);
}

static int start_upload(struct importing *i, stream *s)
{
	i->upload = (struct upload){
		.in = &i->tar,
		.silence_ms = UPLOAD_SILENCE_MS,
		.stream = s,
		.send = send_data,
		.close = send_end,
		.cancel = cancel,
	};
	return upload_start(&i->upload, &i->own);
}

static int send_start(struct importing *i, const struct options *o, const char *reference, stream *s)
{
	const char *platform = o->platform ? o->platform : getenv("DOCKER_DEFAULT_PLATFORM");
	Imaged__V1__ImportRequest m = IMAGED__V1__IMPORT_REQUEST__INIT;
	Imaged__V1__ImportStart start = IMAGED__V1__IMPORT_START__INIT;

	start.reference = (char *)reference;
	start.changes = (char **)o->changes.items;
	start.n_changes = o->changes.n;
	start.message = (char *)(o->message ? o->message : "");
	start.platform = (char *)(platform ? platform : "");
	start.url = (char *)(i->url ? i->url : "");
	m.request_case = IMAGED__V1__IMPORT_REQUEST__REQUEST_START;
	m.start = &start;
	return imaged__v1__image_service__import_write(s, &m, &i->own);
}

/* ---- events ----------------------------------------------------------------- */

static void show_progress(struct importing *i, const Imaged__V1__ImportProgress *m)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(LINE_MAX_BYTES);
	struct progress_count count = { m->current, m->total };

	if (i->url && !i->started)
		cli_print("Downloading from %s\n", i->url);
	i->started = i->url != NULL;
	if (!i->terminal || !m->current)
		return;
	buf_puts(&line, CLEAR_LINE "Importing ");
	progress_bar(&line, &count, cli_output_width());
	buf_putc(&line, '\r');
	cli_write(buf_text(&line), line.len);
	i->lined = true;
}

/* docker, which knows progress of a URL only, ends its line, on a terminal or not. */
static void show_id(struct importing *i, const char *image_id)
{
	if (i->started)
		cli_print("\n");
	else if (i->lined)
		cli_print(CLEAR_LINE);
	i->lined = false;
	cli_print("%s\n", image_id);
}

static void on_event(struct importing *i, const Imaged__V1__ImportEvent *m)
{
	switch (m->event_case) {
	case IMAGED__V1__IMPORT_EVENT__EVENT_PROGRESS:
		show_progress(i, m->progress);
		return;
	case IMAGED__V1__IMPORT_EVENT__EVENT_DONE:
		show_id(i, m->done->image_id);
		return;
	default: /* of a newer service */
		return;
	}
}

static int follow(struct importing *i, stream *s, struct err *err)
{
	const Imaged__V1__ImportEvent *m;
	int r;

	while ((r = imaged__v1__image_service__import_next(s, &m, err)) > 0) {
		if (!i->json)
			on_event(i, m);
		else if (progress_json_event(cli_write, &m->base, err) < 0)
			return err->code;
	}
	return r;
}

static int import(struct cli *cli, struct importing *i, const struct options *o, const char *reference, struct err *err)
{
	CLEANUP(imaged__v1__image_service__import_freep) stream *s = NULL;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	if (r == OK)
		r = imaged__v1__image_service__open_import(channel, cli_call_options(), &s, err);
	if (r < 0)
		return r;
	if (send_start(i, o, reference, s) == OK) {
		if (i->url)
			send_end(s, &i->own);
		else
			start_upload(i, s);
	}
	r = is_own_failure(&i->own) ? i->own.code : follow(i, s, err);
	upload_end(&i->upload, &i->own);
	return r;
}

/* ---- the command ------------------------------------------------------------ */

static bool is_url(const char *source)
{
	return !strncmp(source, "http://", 7) || !strncmp(source, "https://", 8);
}

static int open_source(const char *source, struct importing *i, struct err *err)
{
	if (is_url(source)) {
		i->url = source;
		return OK;
	}
	return input_open(strcmp(source, "-") != 0 ? source : NULL, &i->tar, err);
}

static void importing_free(struct importing *i)
{
	input_close(&i->tar);
}

/* What comes after the first line of output is no answer to a request any more. */
static int report(struct cli *cli, struct importing *i, struct err *err)
{
	if (i->lined)
		cli_print("\n");
	if (is_own_failure(&i->own))
		return i->json ? progress_json_error(cli_write, &i->own) : cli_fail(&i->own);
	cli_explain(cli, err);
	if (i->json)
		return progress_json_error(cli_write, err);
	return i->started ? cli_fail(err) : cli_fail_call(err);
}

static int run(struct cli *cli, const void *options, int argc, char **argv)
{
	const struct options *o = options;
	CLEANUP(importing_free) struct importing i = { .tar = INPUT_INIT };
	const char *reference = argc > 1 ? argv[1] : "";
	struct err err = ERR_INIT;
	enum progress_mode mode = PROGRESS_AUTO;
	struct reference checked;

	if (progress_mode_parse(o->progress, false, &mode, &err) < 0 || open_source(argv[0], &i, &err) < 0 ||
	    (*reference && reference_parse(reference, &checked, &err) < 0))
		return cli_fail(&err);
	i.terminal = isatty(STDOUT_FILENO) && mode == PROGRESS_AUTO;
	i.json = mode == PROGRESS_JSON;
	if (import(cli, &i, o, reference, &err) == OK)
		return cli_output_failed();
	return report(cli, &i, &err);
}

static const struct flag flags[] = {
	{ "change", 'c', FLAG_LIST, offsetof(struct options, changes),
	  "Apply Dockerfile instruction to the created image", NULL },
	{ "message", 'm', FLAG_STRING, offsetof(struct options, message), "Set commit message for imported image",
	  NULL },
	{ "platform", 0, FLAG_STRING, offsetof(struct options, platform),
	  "Set platform if server is multi-platform capable", NULL },
	{ "progress", 0, FLAG_STRING | FLAG_OWN, offsetof(struct options, progress), PROGRESS_HELP, "\"auto\"" },
};

const struct command_spec spec_import = {
	.usage = "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
	.summary = "Import the contents from a tarball to create a filesystem image",
	.aliases = "image import, import",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.min_args = 1,
	.max_args = -1,
	.options_size = sizeof(struct options),
	.run = run,
};
