#include "client/cli/context.h"

#include "client/cli/json_file.h"
#include "store/types/digest.h"

static const char *chosen(const struct cli *cli)
{
	const char *name = cli->global.context, *address = getenv("IMAGED_HOST");

	if (!name && !(address && *address))
		name = getenv("DOCKER_CONTEXT");
	return name && *name && strcmp(name, "default") != 0 ? name : NULL;
}

/* The directory of a context is called after the digest of its name. */
static char *meta_file(struct cli *cli, const char *name)
{
	struct digest digest;
	char hex[DIGEST_TEXT_MAX], dir[4096];

	digest_of(DIGEST_SHA256, (struct bytes){ (const uint8_t *)name, strlen(name) }, &digest);
	return format("%s/contexts/meta/%s/meta.json", cli_config_dir(cli, dir), digest_hex(&digest, hex));
}

static int fail_context(const char *name, const char *why, struct err *err)
{
	return fail(err, E_NO_DAEMON, "Failed to initialize: unable to resolve docker endpoint: context \"%.128s\": %s",
		    name, why);
}

static int read_host(const char *name, const char *path, char **ret_host, struct err *err)
{
	CLEANUP(json_decrefp) json_t *json = NULL;
	CLEANUP(freep) char *missing = format("context not found: open %s: no such file or directory", path);
	struct err why = ERR_INIT;
	const char *host;

	if (!missing)
		return fail_nomem(err);
	if (json_file_read(path, &json, &why))
		return fail_context(name, why.text, err);
	if (!json)
		return fail_context(name, missing, err);
	host = json_string_value(
		json_object_get(json_object_get(json_object_get(json, "Endpoints"), "docker"), "Host"));
	if (!host || !*host)
		return fail_context(name, "no docker endpoint", err);
	*ret_host = strdup(host);
	return *ret_host ? OK : fail_nomem(err);
}

int context_host(struct cli *cli, char **ret_host, struct err *err)
{
	const char *name = chosen(cli);
	CLEANUP(freep) char *path = name ? meta_file(cli, name) : NULL;

	if (!name)
		return OK;
	return path ? read_host(name, path, ret_host, err) : fail_nomem(err);
}
