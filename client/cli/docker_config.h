/*
 * The user's config.json, shared with docker: credentials, default formats,
 * prune filters (docker-cli.md 14).
 *
 * Keys that imagectl does not know are kept when the file is rewritten. Writing is
 * atomic (new file, mode 0600, fsync, rename), and a file that could not be read
 * is never overwritten. Secrets are wiped with the structs that hold them.
 *
 * REGISTRY_AUTH_FILE names another file for credentials and helpers, as podman's tools
 * have it; all else comes from config.json.
 */
#ifndef CLIENT_CLI_DOCKER_CONFIG_H
#define CLIENT_CLI_DOCKER_CONFIG_H

#include "client/cli/flags.h"

#define HUB_SERVER "https://index.docker.io/v1/"

struct docker_config;

struct login {
	char *username, *password; /* "" when empty; NULL in one that was not filled */
	char *identity_token;
	char *registry_token; /* a bearer token that is sent as it is */
};

void login_wipe(struct login *l); /* also the cleanup function */
bool login_is_set(const struct login *l);

/* Never fails: a damaged file gives an empty configuration and, in ret_warning,
 * what to tell the user (NULL: nothing; free()). NULL when memory is short. */
struct docker_config *docker_config_load(const char *directory, char **ret_warning);
void docker_config_free(struct docker_config *c);
/* Of the file that credentials are in. */
const char *docker_config_path(const struct docker_config *c);

/* A string of the top level, or NULL. Borrowed. */
const char *docker_config_string(const struct docker_config *c, const char *key);
/* The strings of a list of the top level; borrowed. Free items. */
int docker_config_list(const struct docker_config *c, const char *key, struct strings *ret_list, struct err *err);

/* What the user's proxies are for the daemon at `host`, else for all: "httpProxy", "noProxy", …;
 * NULL. Borrowed. */
const char *docker_config_proxy(const struct docker_config *c, const char *host, const char *key);
struct rpc_header;

/* What the user wants sent along with every call (HttpHeaders); borrowed, in an array to free. */
int docker_config_headers(const struct docker_config *c, struct rpc_header **ret_headers, size_t *ret_n,
			  struct err *err);
/* The servers that logins are stored for in the file; borrowed. Free items. */
int docker_config_servers(struct docker_config *c, struct strings *ret_servers, struct err *err);

/* "registry.example:5000" of "https://registry.example:5000/v2/". Free it. */
char *docker_config_host(const char *server);
/* The key of a registry: HUB_SERVER for "docker.io". */
const char *docker_config_key(const char *registry);

/* What is stored for a server; all empty when there is nothing. From a credential
 * helper where one is configured. */
int docker_config_get(struct docker_config *c, const char *server, struct login *ret_login, struct err *err);
/* The same for a repository, "docker.io" and "library/busybox": keys may also name a part
 * of a registry ("registry.example/team"); the longest that fits counts. */
int docker_config_get_for(struct docker_config *c, const char *registry, const char *path, struct login *ret_login,
			  struct err *err);
/* NAME of the docker-credential-NAME that is asked for a server; NULL: the file is.
 * Borrowed. */
const char *docker_config_helper(struct docker_config *c, const char *server);
/* Stores; ret_plain says that the secret now lies in the file, which changed. */
int docker_config_store(struct docker_config *c, const char *server, const struct login *l, bool *ret_plain,
			struct err *err);
/* Forgets. No error when there was nothing. */
int docker_config_erase(struct docker_config *c, const char *server, struct err *err);

#endif
