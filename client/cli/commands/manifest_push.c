/*
 * Manifests of other repositories come first, with what they name, under their digests;
 * then the list, under its tag.
 */
#include "client/cli/commands/commands.h"
#include "client/cli/credentials.h"
#include "client/cli/manifest_fetch.h"
#include "imaged/v1/image_service.client.h"

struct options {
	bool insecure, purge;
};

struct pushing {
	struct cli *cli;
	const struct options *options;
	struct rpc_channel *channel;
	struct reference list;
	Imaged__V1__Credentials *credentials; /* for the list's registry: all manifests are of it */
};

static int copy(const struct pushing *p, char *source, char *destination, struct err *err)
{
	CLEANUP(imaged__v1__image_service__copy_freep) struct imaged__v1__image_service__copy_stream *stream = NULL;
	Imaged__V1__CopyRequest request = IMAGED__V1__COPY_REQUEST__INIT;
	const Imaged__V1__PushEvent *event;
	int r;

	request.source = source;
	request.destination = destination;
	request.insecure = p->options->insecure;
	request.source_credentials = request.destination_credentials = p->credentials;
	r = imaged__v1__image_service__open_copy(p->channel, cli_call_options(), &request, &stream, err);
	if (r == OK)
		while ((r = imaged__v1__image_service__copy_next(stream, &event, err)) > 0)
			;
	return r;
}

/* By its digest, wherever its tag leads meanwhile. */
static int bring(const struct pushing *p, const Imaged__V1__RemoteManifest *m, struct err *err)
{
	char source[REFERENCE_TEXT_MAX], destination[REFERENCE_TEXT_MAX];
	struct reference from;

	if (reference_parse(m->reference, &from, err) < 0)
		return err->code;
	if (!strcmp(from.path, p->list.path))
		return OK;
	from.tag[0] = 0;
	if (digest_parse(m->descriptor->digest, &from.digest, err) < 0)
		return err->code;
	reference_text(&from, source);
	if (copy(p, source, reference_name(&p->list, destination), err) < 0)
		return err->code;
	cli_print("Pushed ref %s@%s with digest: %s\n", destination, m->descriptor->digest, m->descriptor->digest);
	return OK;
}

static int put_list(const struct pushing *p, const struct manifest_list *l, struct err *err)
{
	CLEANUP(imaged__v1__image_service__put_manifest_freep) Imaged__V1__PutManifestResponse *answer = NULL;
	CLEANUP(buf_free) struct buf text = BUF_INIT(MANIFEST_JSON_MAX);
	Imaged__V1__PutManifestRequest request = IMAGED__V1__PUT_MANIFEST_REQUEST__INIT;
	char name[REFERENCE_TEXT_MAX];

	if (manifest_list_document(l, &text, err) < 0)
		return err->code;
	request.reference = reference_text(&p->list, name);
	request.manifest = (ProtobufCBinaryData){ text.len, text.data };
	request.insecure = p->options->insecure;
	request.credentials = p->credentials;
	if (imaged__v1__image_service__call_put_manifest(p->channel, cli_call_options(), &request, &answer, err) < 0)
		return err->code == E_NO_DAEMON ? err->code : err_wrap(err, "failed to put manifest %s", name);
	if (!answer->descriptor)
		return fail(err, E_UNKNOWN, "the daemon sent no descriptor");
	cli_print("%s\n", answer->descriptor->digest);
	return OK;
}

static int send_all(struct pushing *p, const struct manifest_list *l, struct err *err)
{
	CLEANUP(credentials_free) struct credentials credentials = { 0 };
	int r = cli_channel(p->cli, &p->channel, err);

	if (r < 0)
		return r;
	p->credentials = credentials_for(p->cli, &p->list, &credentials);
	for (size_t i = 0; r == OK && i < l->n; i++)
		r = bring(p, l->items[i], err);
	if (r == OK)
		r = put_list(p, l, err);
	cli_explain(p->cli, err);
	return r;
}

static int check(const struct manifest_list *l, const struct reference *list, struct err *err)
{
	char name[REFERENCE_TEXT_MAX];

	if (!l->n)
		return fail(err, E_NOT_FOUND, "%s not found", reference_text(list, name));
	for (size_t i = 0; i < l->n; i++) {
		const Imaged__V1__Platform *p = l->items[i]->descriptor->platform;

		if (!*p->os || !*p->architecture)
			return fail(err, E_INVALID,
				    "manifest %s must have an OS and Architecture to be pushed to a registry",
				    l->items[i]->reference);
	}
	return manifest_list_check(l, list, err);
}

static int report(const struct err *err)
{
	if (err->code == E_NO_DAEMON)
		return cli_fail_call(err);
	if (err->code == E_REGISTRY || err->code == E_TLS)
		cli_warn("failed to configure transport: error pinging v2 registry: ");
	return cli_fail(err);
}

static int run(struct cli *cli, const void *options, UNUSED int argc, char **argv)
{
	const struct options *o = options;
	CLEANUP(arena_free) struct arena a;
	struct pushing p = { .cli = cli, .options = o };
	struct manifest_list list;
	struct err err = ERR_INIT;
	char root[4096];

	arena_init(&a, MANIFEST_ARENA_MAX);
	cli_config(cli);
	cli_config_dir(cli, root);
	if (manifest_reference(argv[0], &p.list, &err) < 0 || manifest_store_list(root, &p.list, &a, &list, &err) < 0 ||
	    check(&list, &p.list, &err) < 0)
		return cli_fail(&err);
	if (send_all(&p, &list, &err) < 0)
		return report(&err);
	if (o->purge && manifest_store_remove(root, &p.list, &err) < 0)
		return cli_fail(&err);
	return 0;
}

static const struct flag flags[] = {
	{ "insecure", 0, FLAG_BOOL, offsetof(struct options, insecure), "Allow push to an insecure registry", NULL },
	{ "purge", 'p', FLAG_BOOL, offsetof(struct options, purge), "Remove the local manifest list after push", NULL },
};

const struct command_spec spec_manifest_push = {
	.usage = "[OPTIONS] MANIFEST_LIST",
	.summary = "Push a manifest list to a repository",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.min_args = 1,
	.max_args = 1,
	.options_size = sizeof(struct options),
	.run = run,
};
