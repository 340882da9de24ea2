#include <stdio.h>

#include "client/cli/commands/commands.h"
#include "client/cli/progress_mode.h"
#include "client/cli/upload.h"
#include "imaged/v1/image_service.client.h"

enum { ID_SHOWN = 12, IDS_BYTES_MAX = 4 * 1024 * 1024 };

struct options {
	const char *input, *platform, *progress;
	bool quiet;
};

typedef struct imaged__v1__image_service__load_stream stream;

struct loading {
	struct input archive;
	struct upload upload; /* of an archive that is not seekable */
	bool seekable;
	struct progress progress;
	bool show; /* progress */
	bool json;
	struct buf ids; /* of the images that came, one a line */
	bool any, last_has_name;
	struct err own; /* a failure of this machine, of which the service does not know */
};

/* ---- the archive ----------------------------------------------------------- */

static int send_data(void *s, const uint8_t *data, size_t len, struct err *err)
{
	Imaged__V1__LoadRequest m = IMAGED__V1__LOAD_REQUEST__INIT;

	m.request_case = IMAGED__V1__LOAD_REQUEST__REQUEST_DATA;
	m.data = (ProtobufCBinaryData){ len, (uint8_t *)data };
	return imaged__v1__image_service__load_write(s, &m, err);
}

static int send_end(void *s, struct err *err)
{
	return imaged__v1__image_service__load_close_write(s, err);
}

static void cancel(void *s)
{
	imaged__v1__image_service__load_cancel(s);
}

static int start_upload(struct loading *l, stream *s)
{
	l->upload = (struct upload){
		.in = &l->archive,
		.silence_ms = UPLOAD_SILENCE_MS,
		.stream = s,
		.send = send_data,
		.close = send_end,
		.cancel = cancel,
	};
	return upload_start(&l->upload, &l->own);
}

static int send_part(struct loading *l, stream *s, int64_t offset, int64_t length, struct err *err)
{
	size_t len = 1;
	int r = OK;

	if (offset < 0 || length < 0)
		return fail(err, E_INTERNAL, "the service asked for %lld bytes at %lld", (long long)length,
			    (long long)offset);
	while (r == OK && length && len) {
		r = input_read(&l->archive, offset, length, &len, err);
		if (r == OK)
			r = send_data(s, l->archive.piece, len, err); /* nothing: the file has become shorter */
		offset += (int64_t)len;
		length -= (int64_t)len;
	}
	return r;
}

static int send_start(struct loading *l, const char *platform, stream *s)
{
	Imaged__V1__LoadRequest m = IMAGED__V1__LOAD_REQUEST__INIT;
	Imaged__V1__LoadStart start = IMAGED__V1__LOAD_START__INIT;

	start.seekable = l->seekable;
	start.size = l->archive.size;
	start.platform = (char *)platform;
	m.request_case = IMAGED__V1__LOAD_REQUEST__REQUEST_START;
	m.start = &start;
	return imaged__v1__image_service__load_write(s, &m, &l->own);
}

/* ---- events ---------------------------------------------------------------- */

static int show_layer(struct loading *l, const Imaged__V1__LoadLayer *m)
{
	struct progress_count count = { m->current, m->total };
	const char *colon = strchr(m->diff_id, ':');
	char id[ID_SHOWN + 1];

	if (!l->show)
		return OK;
	snprintf(id, sizeof id, "%s", colon ? colon + 1 : m->diff_id);
	return progress_status(&l->progress, id, "Loading layer", &count, &l->own);
}

/* Of an archive that comes in order; which layers it has shows when all of it is there. */
static int show_received(struct loading *l, const Imaged__V1__LoadReceived *m)
{
	struct progress_count count = { m->bytes, l->archive.size };

	return l->show ? progress_status(&l->progress, "archive", "Receiving", &count, &l->own) : OK;
}

static void show_image(struct loading *l, const Imaged__V1__LoadedImage *m)
{
	for (size_t i = 0; i < m->n_replaced; i++)
		progress_line(&l->progress,
			      "The image %s already exists, renaming the old one with ID %s to empty string",
			      m->replaced[i]->reference, m->replaced[i]->old_image_id);
	for (size_t i = 0; i < m->n_references; i++)
		progress_line(&l->progress, "Loaded image: %s", m->references[i]);
	buf_printf(&l->ids, "Loaded image ID: %s\n", m->image_id);
	l->last_has_name = m->n_references;
	l->any = true;
}

/* As docker tells them: when the last one of the archive has no name, the IDs of all. */
static void show_ids(struct loading *l)
{
	if (!l->any)
		cli_print("\n");
	else if (!l->last_has_name)
		cli_print("%s", buf_text(&l->ids));
}

static int on_event(struct loading *l, stream *s, const Imaged__V1__LoadEvent *m)
{
	if (l->json && m->event_case != IMAGED__V1__LOAD_EVENT__EVENT_WANT)
		return progress_json_event(cli_write, &m->base, &l->own);
	switch (m->event_case) {
	case IMAGED__V1__LOAD_EVENT__EVENT_WANT:
		return send_part(l, s, m->want->offset, m->want->length, &l->own);
	case IMAGED__V1__LOAD_EVENT__EVENT_LAYER:
		return show_layer(l, m->layer);
	case IMAGED__V1__LOAD_EVENT__EVENT_RECEIVED:
		return show_received(l, m->received);
	case IMAGED__V1__LOAD_EVENT__EVENT_IMAGE:
		show_image(l, m->image);
		return OK;
	default: /* done, or of a newer service */
		return OK;
	}
}

static int follow(struct loading *l, stream *s, struct err *err)
{
	const Imaged__V1__LoadEvent *m;
	int r;

	while ((r = imaged__v1__image_service__load_next(s, &m, err)) > 0)
		if (on_event(l, s, m) < 0 && is_own_failure(&l->own))
			return l->own.code;
	return r;
}

static int load(struct cli *cli, struct loading *l, const char *platform, struct err *err)
{
	CLEANUP(imaged__v1__image_service__load_freep) stream *s = NULL;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	if (r == OK)
		r = imaged__v1__image_service__open_load(channel, cli_call_options(), &s, err);
	if (r < 0)
		return r;
	if (send_start(l, platform, s) == OK && !l->seekable)
		start_upload(l, s);
	r = is_own_failure(&l->own) ? l->own.code : follow(l, s, err);
	upload_end(&l->upload, &l->own);
	return r;
}

/* ---- the command ----------------------------------------------------------- */

static int open_archive(const char *path, struct loading *l, struct err *err)
{
	int r = input_open(path, &l->archive, err);

	/* Standard input may stand anywhere in its file. */
	if (r == OK)
		l->seekable = l->archive.size && (path || !lseek(l->archive.fd, 0, SEEK_CUR));
	return r;
}

static void loading_free(struct loading *l)
{
	input_close(&l->archive);
	buf_free(&l->ids);
	progress_free(&l->progress);
}

static int run(struct cli *cli, const void *options, UNUSED int argc, UNUSED char **argv)
{
	const struct options *o = options;
	CLEANUP(loading_free) struct loading l = { .archive = INPUT_INIT, .ids = BUF_INIT(IDS_BYTES_MAX) };
	const char *path = o->input && *o->input ? o->input : NULL;
	enum progress_mode mode = PROGRESS_AUTO;
	struct err err = ERR_INIT;

	if (progress_mode_parse(o->progress, o->quiet, &mode, &err) < 0)
		return cli_fail(&err);
	if (!path && isatty(STDIN_FILENO)) {
		cli_warn("requested load from stdin, but stdin is empty\n");
		return 1;
	}
	if (open_archive(path, &l, &err) < 0)
		return cli_fail(&err);
	l.json = mode == PROGRESS_JSON;
	progress_begin(&l.progress, mode);
	l.show = l.progress.terminal && !o->quiet;
	if (load(cli, &l, o->platform ? o->platform : "", &err) == OK) {
		if (!l.json)
			show_ids(&l);
		return cli_output_failed();
	}
	if (is_own_failure(&l.own))
		return l.json ? progress_json_error(cli_write, &l.own) : cli_fail(&l.own);
	cli_explain(cli, &err);
	return l.json ? progress_json_error(cli_write, &err) : cli_fail(&err);
}

static const struct flag flags[] = {
	{ "input", 'i', FLAG_STRING, offsetof(struct options, input), "Read from tar archive file, instead of STDIN",
	  NULL },
	{ "platform", 0, FLAG_STRING, offsetof(struct options, platform),
	  "Load only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")", NULL },
	{ "progress", 0, FLAG_STRING | FLAG_OWN, offsetof(struct options, progress), PROGRESS_HELP, "\"auto\"" },
	{ "quiet", 'q', FLAG_BOOL, offsetof(struct options, quiet), "Suppress the load output", NULL },
};

const struct command_spec spec_load = {
	.usage = "[OPTIONS]",
	.summary = "Load an image from a tar archive or STDIN",
	.aliases = "image load, load",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.options_size = sizeof(struct options),
	.run = run,
};
