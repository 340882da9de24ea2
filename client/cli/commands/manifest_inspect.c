#include "client/cli/commands/commands.h"
#include "client/cli/credentials.h"
#include "client/cli/manifest_view.h"
#include "client/cli/template/template.h"
#include "imaged/v1/image_service.client.h"
#include "store/types/reference.h"

struct options {
	bool insecure, verbose;
};

static int fetch(struct cli *cli, const struct options *o, const struct reference *ref,
		 Imaged__V1__InspectRemoteResponse **ret, struct err *err)
{
	CLEANUP(credentials_free) struct credentials credentials = { 0 };
	Imaged__V1__InspectRemoteRequest request = IMAGED__V1__INSPECT_REMOTE_REQUEST__INIT;
	char name[REFERENCE_TEXT_MAX];
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	request.reference = reference_text(ref, name);
	request.verbose = o->verbose;
	request.insecure = o->insecure;
	if (!r) {
		request.credentials = credentials_for(cli, ref, &credentials);
		r = imaged__v1__image_service__call_inspect_remote(channel, cli_call_options(), &request, ret, err);
	}
	cli_explain(cli, err);
	return r;
}

/* docker asks the registry itself: its errors are no daemon's. */
static int report(const struct reference *ref, const struct err *err)
{
	char name[REFERENCE_TEXT_MAX];

	if (err->code == E_MANIFEST_UNKNOWN || err->code == E_NOT_FOUND)
		cli_warn("no such manifest: %s\n", reference_text(ref, name));
	else if (err->code == E_REGISTRY || err->code == E_TLS)
		cli_warn("failed to configure transport: error pinging v2 registry: %s\n", err->text);
	else if (err->code == E_NO_DAEMON)
		return cli_fail_call(err);
	else
		return cli_fail(err);
	return 1;
}

static int run(struct cli *cli, const void *options, UNUSED int argc, char **argv)
{
	const struct options *o = options;
	CLEANUP(imaged__v1__image_service__inspect_remote_freep) Imaged__V1__InspectRemoteResponse *response = NULL;
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct err err = ERR_INIT;
	struct reference ref;

	cli_config(cli);
	if (reference_parse(argv[0], &ref, &err))
		return cli_fail(&err);
	reference_default_tag(&ref);
	if (fetch(cli, o, &ref, &response, &err))
		return report(&ref, &err);
	if (*response->warning)
		cli_warn("WARNING: %s\n", response->warning);
	if (manifest_view(response, o->verbose, &out, &err))
		return cli_fail(&err);
	cli_write(buf_text(&out), out.len);
	return 0;
}

static const struct flag flags[] = {
	{ "insecure", 0, FLAG_BOOL, offsetof(struct options, insecure), "Allow communication with an insecure registry",
	  NULL },
	{ "verbose", 'v', FLAG_BOOL, offsetof(struct options, verbose),
	  "Output additional info including layers and platform", NULL },
};

const struct command_spec spec_manifest_inspect = {
	.usage = "[OPTIONS] MANIFEST",
	.summary = "Display an image manifest, or manifest list",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.min_args = 1,
	.max_args = 1,
	.options_size = sizeof(struct options),
	.run = run,
};
