/* Credentials in config.json: under which key, in the file or with a helper. */
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "client/cli/credential_helper.h"
#include "client/cli/docker_config_internal.h"
#include "proto/runtime/base64.h"

enum { HOST_MAX = 256 };

/* ---- keys ----------------------------------------------------------------- */

static const char *after_scheme(const char *server)
{
	if (!strncmp(server, "https://", 8))
		return server + 8;
	return !strncmp(server, "http://", 7) ? server + 7 : server;
}

char *docker_config_host(const char *server)
{
	server = after_scheme(server);
	return strndup(server, strcspn(server, "/"));
}

const char *docker_config_key(const char *registry)
{
	if (!*registry || !strcmp(registry, "docker.io") || !strcmp(registry, "index.docker.io"))
		return HUB_SERVER;
	return registry;
}

/* What may follow the host in the key of a whole registry. With anything else the key is
 * that of a part of it, which must not open the rest. */
static bool is_api_path(const char *path)
{
	static const char *const paths[] = { "", "/", "/v1", "/v1/", "/v2", "/v2/" };

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (!strcmp(path, paths[i]))
			return true;
	return false;
}

static bool drop_suffix(char *text, const char *suffix)
{
	size_t len = strlen(text), n = strlen(suffix);

	if (len <= n || strcmp(text + len - n, suffix) != 0)
		return false;
	text[len - n] = 0;
	return true;
}

/* "https://Registry.example:443/v1/" → "registry.example"; one name for Docker Hub. False
 * when the key is not that of a registry. */
static bool registry_of(const char *key, char out[HOST_MAX])
{
	static const char *const hub[] = { "docker.io", "index.docker.io", "registry-1.docker.io" };
	CLEANUP(freep) char *host = docker_config_host(key);
	bool http = !strncmp(key, "http://", 7);

	if (!host || !*host || strlen(host) >= HOST_MAX || !is_api_path(after_scheme(key) + strlen(host)))
		return false;
	for (size_t i = 0; i <= strlen(host); i++)
		out[i] = (char)tolower((unsigned char)host[i]);
	drop_suffix(out, http ? ":80" : ":443");
	for (size_t i = 0; i < ARRAY_LEN(hub); i++)
		if (!strcmp(out, hub[i]))
			snprintf(out, HOST_MAX, "%s", hub[0]);
	return true;
}

static json_t *find_member(json_t *object, const char *server)
{
	json_t *member = json_object_get(object, server);
	char wanted[HOST_MAX], host[HOST_MAX];
	const char *key;

	if (member || !registry_of(server, wanted))
		return member;
	json_object_foreach(object, key, member) if (registry_of(key, host) && !strcmp(host, wanted)) return member;
	return NULL;
}

/* The entry of a server, also under an address that docker once wrote. */
static json_t *find_entry(const struct docker_config *c, const char *server)
{
	return find_member(json_object_get(c->root, "auths"), server);
}

const char *docker_config_helper(struct docker_config *c, const char *server)
{
	const json_t *root = docker_config_logins(c)->root;
	const char *name = json_string_value(find_member(json_object_get(root, "credHelpers"), server));

	if (!name)
		name = json_string_value(json_object_get(root, "credsStore"));
	return name && *name ? name : NULL;
}

/* ---- reading -------------------------------------------------------------- */

static int fill(struct login *l, const char *username, const char *password, const char *token, struct err *err)
{
	l->username = strdup(username ? username : "");
	l->password = strdup(password ? password : "");
	l->identity_token = strdup(token ? token : "");
	l->registry_token = strdup("");
	if (l->username && l->password && l->identity_token && l->registry_token)
		return OK;
	login_wipe(l);
	return fail_nomem(err);
}

/* "user:password" in base64; passwords may hold colons. */
static int decode_auth(const char *auth, const char *token, struct login *l, struct err *err)
{
	CLEANUP(buf_free) struct buf plain = BUF_INIT(64 * 1024);
	char *colon;
	int r;

	if (!base64_decode(&plain, auth))
		return fail(err, E_INVALID, "the stored credentials are damaged");
	colon = plain.data ? strchr((char *)plain.data, ':') : NULL;
	if (!colon)
		return fail(err, E_INVALID, "the stored credentials are damaged");
	*colon = 0;
	r = fill(l, (char *)plain.data, colon + 1, token, err);
	wipe(plain.data, plain.len);
	return r;
}

static int get_from_entry(const json_t *entry, struct login *l, struct err *err)
{
	const char *auth = json_string_value(json_object_get(entry, "auth"));
	const char *token = json_string_value(json_object_get(entry, "identitytoken"));
	const char *ready = json_string_value(json_object_get(entry, "registrytoken"));
	int r;

	if (auth && *auth)
		r = decode_auth(auth, token, l, err);
	else
		r = fill(l, json_string_value(json_object_get(entry, "username")),
			 json_string_value(json_object_get(entry, "password")), token, err);
	if (r || !ready)
		return r;
	free(l->registry_token);
	l->registry_token = strdup(ready);
	return l->registry_token ? OK : fail_nomem(err);
}

static int get_from_helper(const char *helper, const char *server, struct login *l, struct err *err)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(HELPER_OUTPUT_MAX);
	const char *username, *secret;
	json_t *answer = NULL;
	int r = credential_helper_run(helper, "get", server, &out, err);

	if (r == E_NOT_FOUND)
		return fill(l, "", "", "", err);
	if (!r) {
		answer = json_loads(buf_text(&out), JSON_REJECT_DUPLICATES, NULL);
		username = json_string_value(json_object_get(answer, "Username"));
		secret = json_string_value(json_object_get(answer, "Secret"));
		if (!username || !secret)
			r = fail(err, E_INVALID, "docker-credential-%s gave an answer that is no credentials", helper);
		else if (!strcmp(username, "<token>"))
			r = fill(l, "", "", secret, err);
		else
			r = fill(l, username, secret, "", err);
		json_decref(answer);
	}
	if (out.data)
		wipe(out.data, out.len);
	return r;
}

int docker_config_get(struct docker_config *c, const char *server, struct login *ret_login, struct err *err)
{
	const char *helper = docker_config_helper(c, server);

	*ret_login = (struct login){ 0 };
	if (helper)
		return get_from_helper(helper, server, ret_login, err);
	return get_from_entry(find_entry(docker_config_logins(c), server), ret_login, err);
}

/* What is kept under exactly this key; false where nothing is. */
static bool get_exactly(struct docker_config *c, const char *key, struct login *l, int *ret_code, struct err *err)
{
	const json_t *root = docker_config_logins(c)->root;
	const char *helper = json_string_value(json_object_get(json_object_get(root, "credHelpers"), key));
	const json_t *entry = json_object_get(json_object_get(root, "auths"), key);

	if (!helper && entry && !json_object_size(entry)) /* the mark of a helper that has it */
		helper = json_string_value(json_object_get(root, "credsStore"));
	if (helper && *helper)
		*ret_code = get_from_helper(helper, key, l, err);
	else if (entry)
		*ret_code = get_from_entry(entry, l, err);
	else
		return false;
	return true;
}

int docker_config_get_for(struct docker_config *c, const char *registry, const char *path, struct login *ret_login,
			  struct err *err)
{
	CLEANUP(freep) char *key = format("%s/%s", registry, path);
	char *slash;
	int r;

	*ret_login = (struct login){ 0 };
	if (!key)
		return fail_nomem(err);
	for (; (slash = strrchr(key, '/')); *slash = 0)
		if (get_exactly(c, key, ret_login, &r, err))
			return r;
	return docker_config_get(c, docker_config_key(registry), ret_login, err);
}
