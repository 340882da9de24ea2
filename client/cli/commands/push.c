#include "client/cli/commands/commands.h"
#include "client/cli/credentials.h"
#include "client/cli/progress_mode.h"
#include "client/cli/push_view.h"
#include "imaged/v1/image_service.client.h"

struct options {
	const char *platform, *progress;
	bool all_tags, quiet, disable_content_trust;
};

static int follow(struct rpc_channel *channel, const Imaged__V1__PushRequest *request, struct push_view *view,
		  struct err *err)
{
	CLEANUP(imaged__v1__image_service__push_freep) struct imaged__v1__image_service__push_stream *stream = NULL;
	const Imaged__V1__PushEvent *event;
	int r = imaged__v1__image_service__open_push(channel, cli_call_options(), request, &stream, err);

	if (r)
		return r;
	while ((r = imaged__v1__image_service__push_next(stream, &event, err)) > 0) {
		r = view->json ? progress_json_event(cli_write, &event->base, err) : push_view_event(view, event, err);
		if (r)
			return r;
	}
	return r;
}

static int push(struct cli *cli, const struct options *o, const struct reference *ref, struct push_view *view,
		struct err *err)
{
	CLEANUP(credentials_free) struct credentials credentials = { 0 };
	Imaged__V1__PushRequest request = IMAGED__V1__PUSH_REQUEST__INIT;
	char text[REFERENCE_TEXT_MAX];
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	if (r)
		return r;
	request.credentials = credentials_for(cli, ref, &credentials);
	request.reference = reference_text(ref, text);
	request.platform = (char *)(o->platform ? o->platform : "");
	request.all_tags = o->all_tags;
	request.docker_manifest = cli_is_docker(cli);
	r = follow(channel, &request, view, err);
	cli_explain(cli, err);
	return r;
}

/* What the service says of a push comes after its first line, without a prefix; that an
 * image is of another platform is said before. */
static int report(struct push_view *view, const struct err *err)
{
	if (view->json)
		return progress_json_error(cli_write, err);
	if (err->code == E_NO_DAEMON)
		return cli_fail_call(err);
	if (err->code == E_NO_PLATFORM && !view->started) {
		cli_warn("Error response from daemon: %s\n", err->text);
		return 1;
	}
	push_view_start(view);
	cli_warn("%s\n", err->text);
	return 1;
}

static int check_reference(const struct options *o, const char *text, struct reference *ref, struct err *err)
{
	if (reference_parse(text, ref, err))
		return err->code;
	if (o->all_tags && (ref->tag[0] || digest_is_set(&ref->digest)))
		return fail(err, E_INVALID_REFERENCE, "tag can't be used with --all-tags/-a");
	if (digest_is_set(&ref->digest))
		return fail(err, E_INVALID_REFERENCE, "cannot push a digest reference");
	return OK;
}

static void print_platform_note(void)
{
	cli_print("\n"
		  " Info -> Using --platform pushes only the specified platform manifest of a multi-platform image "
		  "index.\n"
		  "         Other components, like attestations, will not be included.\n"
		  "         To push the complete multi-platform image, remove the --platform flag.\n"
		  "         \n");
}

static int run(struct cli *cli, const void *options, UNUSED int argc, char **argv)
{
	const struct options *o = options;
	CLEANUP(push_view_free) struct push_view view = { .quiet = o->quiet };
	enum progress_mode mode = PROGRESS_AUTO;
	struct err err = ERR_INIT;
	struct reference ref;

	cli_config(cli);
	if (progress_mode_parse(o->progress, o->quiet, &mode, &err) || check_reference(o, argv[0], &ref, &err))
		return cli_fail(&err);
	view.json = mode == PROGRESS_JSON;
	if (!o->all_tags && reference_default_tag(&ref) && !o->quiet && !view.json)
		cli_print("Using default tag: latest\n");
	if (o->platform && *o->platform && !view.json)
		print_platform_note();
	view.ref = &ref;
	progress_begin(&view.progress, mode);
	return push(cli, o, &ref, &view, &err) ? report(&view, &err) : 0;
}

static const struct flag flags[] = {
	{ "all-tags", 'a', FLAG_BOOL, offsetof(struct options, all_tags), "Push all tags of an image to the repository",
	  NULL },
	{ "disable-content-trust", 0, FLAG_BOOL, offsetof(struct options, disable_content_trust), "Skip image signing",
	  "true" },
	{ "platform", 0, FLAG_STRING, offsetof(struct options, platform),
	  "Push a platform-specific manifest as a single-platform image to the registry.\n"
	  "Image index won't be pushed, meaning that other manifests, including attestations won't be preserved.\n"
	  "'os[/arch[/variant]]': Explicit platform (eg. linux/amd64)",
	  NULL },
	{ "progress", 0, FLAG_STRING | FLAG_OWN, offsetof(struct options, progress), PROGRESS_HELP, "\"auto\"" },
	{ "quiet", 'q', FLAG_BOOL, offsetof(struct options, quiet), "Suppress verbose output", NULL },
};

static const struct options defaults = { .disable_content_trust = true };

const struct command_spec spec_push = {
	.usage = "[OPTIONS] NAME[:TAG]",
	.summary = "Upload an image to a registry",
	.aliases = "image push, push",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.min_args = 1,
	.max_args = 1,
	.options_size = sizeof(struct options),
	.defaults = &defaults,
	.run = run,
};
