#include "client/cli/commands/commands.h"
#include "client/cli/convert.h"
#include "client/cli/credentials.h"
#include "client/cli/format/units.h"
#include "client/cli/progress_mode.h"
#include "imaged/v1/image_service.client.h"

struct options {
	const char *platform, *progress;
	bool referrers, quiet;
};

/* ---- lines ----------------------------------------------------------------- */

enum {
	PUSHING = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_PUSHING,
	EXISTS = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_EXISTS,
	MOUNTED = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_MOUNTED,
	COMPLETE = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_COMPLETE,
	RETRYING = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_RETRYING,
	SKIPPED = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_SKIPPED,
};

struct view {
	struct progress progress;
	bool quiet, json;
	bool started; /* a line of the call was printed */
};

static const char *status_text(const Imaged__V1__PushProgress *m, char out[256])
{
	switch ((int)m->state) {
	case EXISTS:
		return "Already exists";
	case COMPLETE:
		return "Copied";
	case SKIPPED:
		return "Foreign layer, stays where it is";
	case MOUNTED:
		snprintf(out, 256, "Mounted from %s", m->from);
		return out;
	case RETRYING:
		snprintf(out, 256, "Retrying%s%s", *m->message ? ": " : "", m->message);
		return out;
	default:
		return NULL;
	}
}

static int show_layer(struct view *v, const Imaged__V1__PushProgress *m, struct err *err)
{
	struct progress_count count = { m->current, m->total };
	struct text id = short_id(m->digest);
	char name[16], text[256];
	const char *status = status_text(m, text);

	snprintf(name, sizeof name, "%.*s", (int)id.len, id.data);
	if (status)
		return progress_status(&v->progress, name, status, NULL, err);
	if ((int)m->state == PUSHING && v->progress.terminal)
		return progress_status(&v->progress, name, "Copying", &count, err);
	return OK;
}

static void show_tag(struct view *v, const Imaged__V1__PushedTag *m)
{
	if (v->quiet)
		progress_line(&v->progress, "%s", m->digest);
	else
		progress_line(&v->progress, "%s%sdigest: %s size: %lld", m->tag, *m->tag ? ": " : "", m->digest,
			      (long long)m->size);
}

static int show(struct view *v, const Imaged__V1__PushEvent *event, struct err *err)
{
	switch (event->event_case) {
	case IMAGED__V1__PUSH_EVENT__EVENT_STARTED:
		v->started = true;
		if (!v->quiet)
			progress_line(&v->progress, "Copying to %s", event->started->repository);
		return OK;
	case IMAGED__V1__PUSH_EVENT__EVENT_LAYER:
		return v->quiet ? OK : show_layer(v, event->layer, err);
	case IMAGED__V1__PUSH_EVENT__EVENT_TAG:
		show_tag(v, event->tag);
		return OK;
	default:
		return OK;
	}
}

/* ---- the call -------------------------------------------------------------- */

static int follow(struct rpc_channel *channel, const Imaged__V1__CopyRequest *request, struct view *view,
		  struct err *err)
{
	CLEANUP(imaged__v1__image_service__copy_freep) struct imaged__v1__image_service__copy_stream *stream = NULL;
	const Imaged__V1__PushEvent *event;
	int r = imaged__v1__image_service__open_copy(channel, cli_call_options(), request, &stream, err);

	while (!r && (r = imaged__v1__image_service__copy_next(stream, &event, err)) > 0)
		r = view->json ? progress_json_event(cli_write, &event->base, err) : show(view, event, err);
	return r;
}

static int copy(struct cli *cli, const struct options *o, char **names, const struct reference refs[2],
		struct view *view, struct err *err)
{
	CLEANUP(credentials_free) struct credentials from = { 0 }, to = { 0 };
	Imaged__V1__CopyRequest request = IMAGED__V1__COPY_REQUEST__INIT;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	if (r)
		return r;
	request.source = names[0];
	request.destination = names[1];
	request.platform = (char *)(o->platform ? o->platform : "");
	request.referrers = o->referrers;
	request.source_credentials = credentials_for(cli, &refs[0], &from);
	request.destination_credentials = credentials_for(cli, &refs[1], &to);
	r = follow(channel, &request, view, err);
	cli_explain(cli, err);
	return r;
}

static int run(struct cli *cli, const void *options, UNUSED int argc, char **argv)
{
	const struct options *o = options;
	struct view view = { .quiet = o->quiet };
	enum progress_mode mode = PROGRESS_AUTO;
	struct err err = ERR_INIT;
	struct reference refs[2];
	int r;

	cli_config(cli);
	if (progress_mode_parse(o->progress, o->quiet, &mode, &err) || reference_parse(argv[0], &refs[0], &err) ||
	    reference_parse(argv[1], &refs[1], &err))
		return cli_fail(&err);
	view.json = mode == PROGRESS_JSON;
	progress_begin(&view.progress, mode);
	r = copy(cli, o, argv, refs, &view, &err);
	progress_free(&view.progress);
	if (!r)
		return 0;
	if (view.json)
		return progress_json_error(cli_write, &err);
	return view.started ? cli_fail(&err) : cli_fail_call(&err);
}

static const struct flag flags[] = {
	{ "platform", 0, FLAG_STRING, offsetof(struct options, platform),
	  "Copy only the image for this platform of a multi-platform image", NULL },
	{ "progress", 0, FLAG_STRING, offsetof(struct options, progress), PROGRESS_HELP, "\"auto\"" },
	{ "quiet", 'q', FLAG_BOOL, offsetof(struct options, quiet), "Print only the digest", NULL },
	{ "referrers", 0, FLAG_BOOL, offsetof(struct options, referrers),
	  "Copy what refers to the image as well: signatures, attestations, bills of materials", NULL },
};

const struct command_spec spec_copy = {
	.usage = "[OPTIONS] NAME[:TAG|@DIGEST] NAME[:TAG]",
	.summary = "Copy an image from registry to registry",
	.help = "Copy an image, or whatever a reference names, from registry to registry. It goes\n"
		"over bit by bit, and nothing of it is kept here.",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.min_args = 2,
	.max_args = 2,
	.own = true,
	.options_size = sizeof(struct options),
	.run = run,
};
