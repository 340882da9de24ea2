#include "client/cli/manifest_fetch.h"

#include "client/cli/credentials.h"
#include "imaged/v1/image_service.client.h"

int manifest_reference(const char *text, struct reference *ret_ref, struct err *err)
{
	int r = reference_parse(text, ret_ref, err);

	if (r == OK)
		reference_default_tag(ret_ref);
	return r;
}

int manifest_ask(struct cli *cli, const struct reference *ref, bool insecure, bool verbose,
		 Imaged__V1__InspectRemoteResponse **ret_answer, struct err *err)
{
	CLEANUP(credentials_free) struct credentials credentials = { 0 };
	Imaged__V1__InspectRemoteRequest request = IMAGED__V1__INSPECT_REMOTE_REQUEST__INIT;
	char name[REFERENCE_TEXT_MAX];
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	request.reference = reference_text(ref, name);
	request.verbose = verbose;
	request.insecure = insecure;
	if (r == OK) {
		request.credentials = credentials_for(cli, ref, &credentials);
		r = imaged__v1__image_service__call_inspect_remote(channel, cli_call_options(), &request, ret_answer,
								   err);
	}
	cli_explain(cli, err);
	if (r == OK && *(*ret_answer)->warning)
		cli_warn("WARNING: %s\n", (*ret_answer)->warning);
	return r;
}

/* docker looks on at a registry that refuses what it was shown, and finds nothing. */
static bool is_none(const struct err *err)
{
	if (err->code == E_UNAUTHENTICATED)
		return !strstr(err->text, "no basic auth credentials");
	return err->code == E_MANIFEST_UNKNOWN || err->code == E_NOT_FOUND;
}

int manifest_report(const struct reference *ref, const struct err *err)
{
	char name[REFERENCE_TEXT_MAX];

	if (is_none(err)) {
		cli_warn("no such manifest: %s\n", reference_text(ref, name));
		return 1;
	}
	switch (err->code) {
	case E_REGISTRY:
	case E_TLS:
		cli_warn("failed to configure transport: error pinging v2 registry: %s\n", err->text);
		return 1;
	case E_NO_DAEMON:
		return cli_fail_call(err);
	default:
		return cli_fail(err);
	}
}
