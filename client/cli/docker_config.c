#include <sys/stat.h>

#include "client/cli/credential_helper.h"
#include "client/cli/docker_config_internal.h"
#include "client/cli/json_file.h"
#include "client/lib/channel.h"
#include "proto/runtime/base64.h"

void wipe_free(char **text)
{
	if (*text)
		wipe(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

void login_wipe(struct login *l)
{
	wipe_free(&l->username);
	wipe_free(&l->password);
	wipe_free(&l->identity_token);
	wipe_free(&l->registry_token);
}

bool login_is_set(const struct login *l)
{
	return (l->username && *l->username) || (l->identity_token && *l->identity_token) ||
	       (l->registry_token && *l->registry_token);
}

/* ---- the file ------------------------------------------------------------- */

static bool entry_is_valid(const json_t *entry)
{
	CLEANUP(buf_free) struct buf plain = BUF_INIT(64 * 1024);
	const char *auth = json_string_value(json_object_get(entry, "auth"));
	bool ok;

	if (!json_is_object(entry))
		return false;
	if (!auth || !*auth)
		return true;
	ok = base64_decode(&plain, auth) && memchr(buf_text(&plain), ':', plain.len);
	if (plain.data)
		wipe(plain.data, plain.len);
	return ok;
}

/* Why the contents cannot be used; NULL when they can. */
static const char *find_fault(json_t *root)
{
	json_t *auths = json_object_get(root, "auths"), *entry;
	const char *key;

	if (!json_is_object(root))
		return "it is not a JSON object";
	if (!auths)
		return NULL;
	if (!json_is_object(auths))
		return "auths is not a JSON object";
	json_object_foreach(auths, key, entry) if (!entry_is_valid(entry)) return "Invalid auth configuration file";
	return NULL;
}

static char *warning_of(const struct docker_config *c, const char *why)
{
	return format("WARNING: Error parsing config file (%s): %s", c->path, why);
}

static void read_contents(struct docker_config *c, char **ret_warning)
{
	struct err err = ERR_INIT;
	const char *fault;

	if (json_file_read(c->path, &c->root, &err)) {
		c->damaged = true;
		*ret_warning = warning_of(c, err.text);
		return;
	}
	fault = c->root ? find_fault(c->root) : NULL;
	if (!fault)
		return;
	c->damaged = true;
	*ret_warning = warning_of(c, fault);
	json_decref(c->root);
	c->root = NULL;
}

/* Takes over `path`, which may be NULL for want of memory. */
static struct docker_config *load_file(char *path, char **ret_warning)
{
	struct docker_config *c = calloc(1, sizeof *c);

	if (!c) {
		free(path);
		return NULL;
	}
	c->path = path;
	if (path)
		read_contents(c, ret_warning);
	if (!c->root)
		c->root = json_object();
	if (c->path && c->root)
		return c;
	docker_config_free(c);
	return NULL;
}

static bool load_logins(struct docker_config *c, char **ret_warning)
{
	const char *path = getenv("REGISTRY_AUTH_FILE");
	char *more = NULL, *both;

	if (!path || !*path)
		return true;
	c->logins = load_file(strdup(path), &more);
	if (!more)
		return c->logins != NULL;
	both = *ret_warning ? format("%s\n%s", *ret_warning, more) : TAKE(more);
	free(more);
	free(*ret_warning);
	*ret_warning = both;
	return c->logins != NULL;
}

struct docker_config *docker_config_load(const char *directory, char **ret_warning)
{
	struct docker_config *c;

	*ret_warning = NULL;
	c = load_file(format("%s/config.json", directory), ret_warning);
	if (!c || load_logins(c, ret_warning))
		return c;
	docker_config_free(c);
	return NULL;
}

void docker_config_free(struct docker_config *c)
{
	if (!c)
		return;
	docker_config_free(c->logins);
	json_decref(c->root);
	free(c->path);
	free(c);
}

const char *docker_config_path(const struct docker_config *c)
{
	return c->logins ? c->logins->path : c->path;
}

const char *docker_config_string(const struct docker_config *c, const char *key)
{
	return json_string_value(json_object_get(c->root, key));
}

int docker_config_list(const struct docker_config *c, const char *key, struct strings *ret_list, struct err *err)
{
	json_t *list = json_object_get(c->root, key), *item;
	struct strings found = { 0 };
	size_t i;

	*ret_list = found;
	if (!json_array_size(list))
		return OK;
	found.items = calloc(json_array_size(list), sizeof *found.items);
	if (!found.items)
		return fail_nomem(err);
	json_array_foreach(list, i, item) if (json_is_string(item)) found.items[found.n++] = json_string_value(item);
	*ret_list = found;
	return OK;
}

const char *docker_config_proxy(const struct docker_config *c, const char *host, const char *key)
{
	const json_t *proxies = json_object_get(c->root, "proxies");
	const json_t *of_host = host ? json_object_get(proxies, host) : NULL;

	return json_string_value(json_object_get(of_host ? of_host : json_object_get(proxies, "default"), key));
}

int docker_config_headers(const struct docker_config *c, struct rpc_header **ret_headers, size_t *ret_n,
			  struct err *err)
{
	json_t *given = json_object_get(c->root, "HttpHeaders"), *value;
	const char *name;

	*ret_n = 0;
	*ret_headers = calloc(json_object_size(given) + 1, sizeof(**ret_headers));
	if (!*ret_headers)
		return fail_nomem(err);
	json_object_foreach(given, name, value) if (json_is_string(value))(
		*ret_headers)[(*ret_n)++] = (struct rpc_header){ name, json_string_value(value) };
	return OK;
}

int docker_config_servers(struct docker_config *c, struct strings *ret_servers, struct err *err)
{
	json_t *auths = json_object_get(docker_config_logins(c)->root, "auths");
	struct strings found = { 0 };

	found.items = calloc(json_object_size(auths) + 1, sizeof *found.items);
	if (!found.items)
		return fail_nomem(err);
	for (void *i = json_object_iter(auths); i; i = json_object_iter_next(auths, i))
		found.items[found.n++] = json_object_iter_key(i);
	*ret_servers = found;
	return OK;
}

/* ---- writing -------------------------------------------------------------- */

/* What docker writes, in its order; what it does not know comes behind, as it was. */
static json_t *in_dockers_order(json_t *root)
{
	static const char *const known[] = {
		"auths",	  "HttpHeaders",    "psFormat",
		"imagesFormat",	  "networksFormat", "pluginsFormat",
		"volumesFormat",  "statsFormat",    "detachKeys",
		"credsStore",	  "credHelpers",    "serviceInspectFormat",
		"servicesFormat", "tasksFormat",    "secretFormat",
		"configFormat",	  "nodesFormat",    "pruneFilters",
		"proxies",	  "currentContext", "cliPluginsExtraDirs",
		"plugins",	  "aliases",	    "features",
	};
	json_t *sorted = json_object(), *value;
	int failed = !sorted;

	for (size_t i = 0; i < ARRAY_LEN(known) && !failed; i++) {
		value = json_object_get(root, known[i]);
		failed = value && json_object_set(sorted, known[i], value);
	}
	if (!failed)
		failed = json_object_update_missing(sorted, root);
	if (!failed)
		return sorted;
	json_decref(sorted);
	return NULL;
}

static int save(struct docker_config *c, struct err *err)
{
	CLEANUP(json_decrefp) json_t *sorted = NULL;

	if (c->damaged)
		return fail(err, E_INVALID, "config file %s is damaged; it is left as it is: correct or remove it",
			    c->path);
	sorted = in_dockers_order(c->root);
	return sorted ? json_file_write(c->path, sorted, err) : fail_nomem(err);
}

static json_t *auths_of(struct docker_config *c)
{
	json_t *auths = json_object_get(c->root, "auths");

	if (!auths) {
		auths = json_object();
		if (json_object_set_new(c->root, "auths", auths) < 0)
			return NULL;
	}
	return auths;
}

static json_t *entry_of(const struct login *l)
{
	CLEANUP(buf_free) struct buf plain = BUF_INIT(64 * 1024);
	CLEANUP(buf_free) struct buf encoded = BUF_INIT(128 * 1024);
	json_t *entry = json_object();
	int failed = 0;

	buf_printf(&plain, "%s:%s", l->username, *l->identity_token ? "" : l->password);
	if (!buf_ok(&plain) || !base64_encode(&encoded, plain.data, plain.len))
		failed = -1;
	if (!failed && *l->username)
		failed = json_object_set_new(entry, "auth", json_string(buf_text(&encoded)));
	if (!failed && *l->identity_token)
		failed = json_object_set_new(entry, "identitytoken", json_string(l->identity_token));
	if (plain.data)
		wipe(plain.data, plain.len);
	if (!failed)
		return entry;
	json_decref(entry);
	return NULL;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The members of auths in the order of their names, as docker writes them. */
static bool sort_auths(struct docker_config *c)
{
	json_t *auths = json_object_get(c->root, "auths"), *sorted = json_object(), *entry;
	const char **names = calloc(json_object_size(auths) + 1, sizeof *names), *name;
	size_t n = 0;
	int failed = !names || !sorted;

	if (!failed)
		json_object_foreach(auths, name, entry) names[n++] = name;
	if (!failed)
		qsort(names, n, sizeof *names, by_name);
	for (size_t i = 0; i < n && !failed; i++)
		failed = json_object_set(sorted, names[i], json_object_get(auths, names[i]));
	free(names);
	if (!failed)
		return !json_object_set_new(c->root, "auths", sorted);
	json_decref(sorted);
	return false;
}

/* Takes over `entry`. */
static int store_entry(struct docker_config *c, const char *server, json_t *entry, bool *ret_changed, struct err *err)
{
	json_t *auths = auths_of(c);

	*ret_changed = entry && !json_equal(json_object_get(auths, server), entry);
	if (!auths || !entry || json_object_set_new(auths, server, entry) < 0) {
		json_decref(auths ? NULL : entry);
		return fail_nomem(err);
	}
	if (!*ret_changed)
		return OK;
	return sort_auths(c) ? save(c, err) : fail_nomem(err);
}

static int store_in_helper(const char *helper, const char *server, const struct login *l, struct err *err)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(HELPER_OUTPUT_MAX);
	bool token = *l->identity_token;
	json_t *request = json_pack("{s:s, s:s, s:s}", "ServerURL", server, "Username", token ? "<token>" : l->username,
				    "Secret", token ? l->identity_token : l->password);
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	int r = text ? credential_helper_run(helper, "store", text, &out, err) : fail_nomem(err);

	wipe_free(&text);
	json_decref(request);
	return r;
}

int docker_config_store(struct docker_config *c, const char *server, const struct login *l, bool *ret_plain,
			struct err *err)
{
	const char *helper = docker_config_helper(c, server);
	bool changed;
	int r;

	c = docker_config_logins(c);
	*ret_plain = false;
	if (c->damaged)
		return save(c, err);
	if (!helper)
		return store_entry(c, server, entry_of(l), ret_plain, err);
	r = store_in_helper(helper, server, l, err);
	/* docker marks the server in the file, without a secret. */
	return r ? r : store_entry(c, server, json_object(), &changed, err);
}

int docker_config_erase(struct docker_config *c, const char *server, struct err *err)
{
	const char *helper = docker_config_helper(c, server);
	CLEANUP(buf_free) struct buf out = BUF_INIT(HELPER_OUTPUT_MAX);
	json_t *auths;
	int r = helper ? credential_helper_run(helper, "erase", server, &out, err) : OK;

	if (r && r != E_NOT_FOUND)
		return r;
	c = docker_config_logins(c);
	auths = json_object_get(c->root, "auths");
	if (!json_object_get(auths, server))
		return OK;
	json_object_del(auths, server);
	return save(c, err);
}
