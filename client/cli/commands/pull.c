#include "client/cli/commands/commands.h"
#include "client/cli/credentials.h"
#include "client/cli/progress_mode.h"
#include "client/cli/pull_view.h"
#include "imaged/v1/image_service.client.h"

struct options {
	const char *platform, *progress;
	bool all_tags, no_layers, quiet, disable_content_trust;
};

/* Only when there is little left: a line on stderr, as it is no part of docker's answer. */
static void warn_of_limit(const Imaged__V1__PullDone *m)
{
	const Imaged__V1__RateLimit *rate = m->rate_limit;

	if (!rate || !rate->limit || rate->remaining > rate->limit / 10)
		return;
	cli_warn("WARNING: %lld of %lld pulls are left at %s", (long long)rate->remaining, (long long)rate->limit,
		 m->host);
	if (rate->window_seconds)
		cli_warn(" within %lld hours", (long long)(rate->window_seconds + 1800) / 3600);
	cli_warn("\n");
}

static int show(struct pull_view *view, const Imaged__V1__PullEvent *event, struct err *err)
{
	int r;

	if (view->json)
		return progress_json_event(cli_write, &event->base, err);
	r = pull_view_event(view, event, err);
	if (!r && event->event_case == IMAGED__V1__PULL_EVENT__EVENT_DONE && !view->quiet)
		warn_of_limit(event->done);
	return r;
}

static int follow(struct rpc_channel *channel, const Imaged__V1__PullRequest *request, struct pull_view *view,
		  struct err *err)
{
	CLEANUP(imaged__v1__image_service__pull_freep) struct imaged__v1__image_service__pull_stream *stream = NULL;
	const Imaged__V1__PullEvent *event;
	int r = imaged__v1__image_service__open_pull(channel, cli_call_options(), request, &stream, err);

	if (r)
		return r;
	while ((r = imaged__v1__image_service__pull_next(stream, &event, err)) > 0) {
		r = show(view, event, err);
		if (r)
			return r;
	}
	return r;
}

static int pull(struct cli *cli, const struct options *o, const struct reference *ref, struct pull_view *view,
		struct err *err)
{
	Imaged__V1__PullRequest request = IMAGED__V1__PULL_REQUEST__INIT;
	CLEANUP(credentials_free) struct credentials credentials = { 0 };
	const char *platform = o->platform ? o->platform : getenv("DOCKER_DEFAULT_PLATFORM");
	char text[REFERENCE_TEXT_MAX];
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	if (r)
		return r;
	request.credentials = credentials_for(cli, ref, &credentials);
	request.reference = reference_text(ref, text);
	request.platform = (char *)(platform ? platform : "");
	request.all_tags = o->all_tags;
	request.no_layers = o->no_layers;
	r = follow(channel, &request, view, err);
	cli_explain(cli, err);
	return r;
}

/* docker does not tell which platforms there are. */
static int shown_length(const struct cli *cli, const struct err *err)
{
	const char *offer = err->code == E_NO_PLATFORM && cli_is_docker(cli) ? strstr(err->text, " (offered: ") : NULL;

	return offer ? (int)(offer - err->text) : (int)strlen(err->text);
}

/* Errors that come after the first line are not docker's answers to a request but
 * parts of its stream, and have no prefix. */
static int report(const struct cli *cli, struct pull_view *view, const struct err *err)
{
	if (view->json)
		return progress_json_error(cli_write, err);
	if (err->code == E_NO_PLATFORM)
		pull_view_start(view);
	if (!view->spoken)
		return cli_fail_call(err);
	cli_warn("%.*s\n", shown_length(cli, err), err->text);
	return 1;
}

static int run(struct cli *cli, const void *options, UNUSED int argc, char **argv)
{
	const struct options *o = options;
	CLEANUP(pull_view_free) struct pull_view view = { .all_tags = o->all_tags, .quiet = o->quiet };
	enum progress_mode mode = PROGRESS_AUTO;
	struct err err = ERR_INIT;
	struct reference ref;

	cli_config(cli);
	if (progress_mode_parse(o->progress, o->quiet, &mode, &err) || reference_parse(argv[0], &ref, &err))
		return cli_fail(&err);
	view.json = mode == PROGRESS_JSON;
	if (o->all_tags && (*ref.tag || digest_is_set(&ref.digest))) {
		fail(&err, E_UNKNOWN, "tag can't be used with --all-tags/-a");
		return cli_fail(&err);
	}
	if (!o->all_tags && reference_default_tag(&ref) && !o->quiet && !view.json)
		cli_print("Using default tag: latest\n");
	view.ref = &ref;
	progress_begin(&view.progress, mode);
	if (pull(cli, o, &ref, &view, &err))
		return report(cli, &view, &err);
	if (o->all_tags && !view.json)
		pull_view_end(&view);
	return 0;
}

static const struct flag flags[] = {
	{ "all-tags", 'a', FLAG_BOOL, offsetof(struct options, all_tags),
	  "Download all tagged images in the repository", NULL },
	{ "disable-content-trust", 0, FLAG_BOOL, offsetof(struct options, disable_content_trust),
	  "Skip image verification", "true" },
	{ "no-layers", 0, FLAG_BOOL | FLAG_OWN, offsetof(struct options, no_layers),
	  "Make no images of the layers: the first mount makes them", NULL },
	{ "platform", 0, FLAG_STRING, offsetof(struct options, platform),
	  "Set platform if server is multi-platform capable", NULL },
	{ "progress", 0, FLAG_STRING | FLAG_OWN, offsetof(struct options, progress), PROGRESS_HELP, "\"auto\"" },
	{ "quiet", 'q', FLAG_BOOL, offsetof(struct options, quiet), "Suppress verbose output", NULL },
};

static const struct options defaults = { .disable_content_trust = true };

const struct command_spec spec_pull = {
	.usage = "[OPTIONS] NAME[:TAG|@DIGEST]",
	.summary = "Download an image from a registry",
	.aliases = "image pull, pull",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.min_args = 1,
	.max_args = 1,
	.options_size = sizeof(struct options),
	.defaults = &defaults,
	.run = run,
};
