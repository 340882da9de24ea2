#include "service/registry/host_config.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "service/registry/url.h"

/* ---- names ----------------------------------------------------------------- */

bool host_authority(const char *server, char out[HOST_AUTHORITY_MAX])
{
	static const char *const hub[] = { "docker.io", "index.docker.io", "registry-1.docker.io" };
	const char *scheme = strstr(server, "://");
	const char *from = scheme ? scheme + 3 : server;
	size_t len = strcspn(from, "/?#");

	if (!len || len >= HOST_AUTHORITY_MAX || memchr(from, '@', len))
		return false;
	for (size_t i = 0; i < len; i++) {
		out[i] = (char)tolower((unsigned char)from[i]);
		if (!isgraph((unsigned char)out[i]))
			return false;
	}
	out[len] = 0;
	for (size_t i = 0; i < ARRAY_LEN(hub); i++)
		if (!strcmp(out, hub[i]))
			snprintf(out, HOST_AUTHORITY_MAX, "registry-1.docker.io");
	return true;
}

/* ---- life ------------------------------------------------------------------ */

void host_config_default(const char *authority, struct host_config *ret_config)
{
	*ret_config = (struct host_config){ .capabilities = HOST_CAN_ALL };
	snprintf(ret_config->authority, sizeof ret_config->authority, "%s", authority);
	snprintf(ret_config->path, sizeof ret_config->path, "/v2");
}

void host_config_free(struct host_config *c)
{
	for (size_t i = 0; i < c->n_ca_files; i++)
		free(c->ca_files[i]);
	for (size_t i = 0; i < c->n_clients; i++) {
		free(c->clients[i].cert_file);
		free(c->clients[i].key_file);
	}
	for (size_t i = 0; i < c->n_headers; i++) {
		free(c->headers[i].name);
		if (c->headers[i].value) /* a token, perhaps */
			wipe(c->headers[i].value, strlen(c->headers[i].value));
		free(c->headers[i].value);
	}
	free(c->ca_files);
	free(c->clients);
	free(c->headers);
	host_tls_unref(c->tls);
	*c = (struct host_config){ 0 };
}

/* ---- building -------------------------------------------------------------- */

static int too_many(const struct host_config *c, const char *what, struct err *err)
{
	return fail(err, E_LIMIT, "%s%stoo many %s", c->authority, *c->authority ? ": " : "", what);
}

int host_config_add_ca(struct host_config *c, char *file, struct err *err)
{
	CLEANUP(freep) char *text = file;
	char **files;

	if (!text)
		return fail_nomem(err);
	if (c->n_ca_files >= HOST_FILES_MAX)
		return too_many(c, "authorities", err);
	files = realloc(c->ca_files, (c->n_ca_files + 1) * sizeof *files);
	if (!files)
		return fail_nomem(err);
	c->ca_files = files;
	files[c->n_ca_files++] = TAKE(text);
	return OK;
}

int host_config_add_client(struct host_config *c, char *cert_file, char *key_file, struct err *err)
{
	CLEANUP(freep) char *cert = cert_file, *key = key_file;
	struct host_client *clients;

	if (!cert)
		return fail_nomem(err);
	if (c->n_clients >= HOST_FILES_MAX)
		return too_many(c, "client certificates", err);
	clients = realloc(c->clients, (c->n_clients + 1) * sizeof *clients);
	if (!clients)
		return fail_nomem(err);
	c->clients = clients;
	clients[c->n_clients].cert_file = TAKE(cert);
	clients[c->n_clients++].key_file = TAKE(key);
	return OK;
}

/* Headers that say how a message is sent, or for which part: ours alone. */
static bool is_ours(const char *name)
{
	static const char *const names[] = { "accept",
					     "accept-encoding",
					     "connection",
					     "content-length",
					     "content-range",
					     "expect",
					     "host",
					     "if-range",
					     "proxy-authorization",
					     "range",
					     "te",
					     "trailer",
					     "transfer-encoding",
					     "upgrade" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcasecmp(name, names[i]))
			return true;
	return false;
}

static bool is_header(const char *name, const char *value)
{
	static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";

	for (const char *v = value; *v; v++)
		if (iscntrl((unsigned char)*v) && *v != '\t')
			return false;
	return *name && !name[strspn(name, token)];
}

int host_config_add_header(struct host_config *c, const char *name, const char *value, struct err *err)
{
	struct host_header h, *headers;

	if (!is_header(name, value))
		return fail(err, E_INVALID, "a header that no server takes");
	if (is_ours(name))
		return fail(err, E_INVALID, "the header '%s' cannot be set", name);
	if (c->n_headers >= HOST_HEADERS_MAX)
		return too_many(c, "headers", err);
	headers = realloc(c->headers, (c->n_headers + 1) * sizeof *headers);
	if (!headers)
		return fail_nomem(err);
	c->headers = headers;
	h = (struct host_header){ strdup(name), strdup(value) };
	headers[c->n_headers++] = h;
	return h.name && h.value ? OK : fail_nomem(err);
}

/* "/", "//" and "/v2/" at the end say nothing. */
static int set_path(struct host_config *c, const char *path, bool override_path, struct err *err)
{
	size_t len = strlen(path);
	bool has_v2;

	while (len && path[len - 1] == '/')
		len--;
	has_v2 = len >= 3 && !memcmp(path + len - 3, "/v2", 3);
	if (len + sizeof "/v2" > sizeof c->path)
		return fail(err, E_INVALID, "the path is too long");
	snprintf(c->path, sizeof c->path, "%.*s%s", (int)len, path, has_v2 || override_path ? "" : "/v2");
	return OK;
}

int host_config_set_url(struct host_config *c, const char *url, bool override_path, struct err *err)
{
	CLEANUP(url_free) struct url u = { 0 };
	CLEANUP(freep) char *whole = strstr(url, "://") ? strdup(url) : format("https://%s", url);
	const char *rest;

	if (!whole)
		return fail_nomem(err);
	if (url_parse(whole, &u, err) != OK)
		return err ? err->code : E_INVALID;
	if (strpbrk(whole, "?#"))
		return fail(err, E_INVALID, "a query or a fragment");
	if (!host_authority(u.text, c->authority))
		return fail(err, E_INVALID, "not a host");
	c->said = u.https ? SCHEME_HTTPS : SCHEME_HTTP;
	rest = strstr(u.text, "://") + 3;
	return set_path(c, rest + strcspn(rest, "/"), override_path, err);
}

/* ---- files ----------------------------------------------------------------- */

static void add_bytes(struct hasher *h, const void *data, size_t len)
{
	uint64_t size = len;

	hasher_update(h, &size, sizeof size);
	hasher_update(h, data, len);
}

static void add_text(struct hasher *h, const char *text)
{
	add_bytes(h, text, strlen(text));
}

static void add_tls(struct hasher *h, const struct host_tls *t)
{
	add_bytes(h, t->authorities.data, t->authorities.len);
	for (size_t i = 0; i < t->n_identities; i++) {
		add_bytes(h, t->identities[i].cert.data, t->identities[i].cert.len);
		add_bytes(h, t->identities[i].key.data, t->identities[i].key.len);
	}
}

/* Each part with its length, so that they cannot run into each other. */
static struct digest fingerprint_of(const struct host_config *c)
{
	const int64_t numbers[] = { c->said, c->verify, c->asked_insecure, c->dial_timeout_ms, (int64_t)c->n_headers };
	struct hasher h;

	hasher_init(&h, DIGEST_SHA256);
	add_text(&h, c->authority);
	add_text(&h, c->path);
	add_bytes(&h, numbers, sizeof numbers);
	for (size_t i = 0; i < c->n_headers; i++) {
		add_text(&h, c->headers[i].name);
		add_text(&h, c->headers[i].value);
	}
	if (c->tls)
		add_tls(&h, c->tls);
	return hasher_final(&h);
}

int host_config_load(struct host_config *c, struct err *err)
{
	const struct host_tls_files files = { c->ca_files, c->n_ca_files, c->clients, c->n_clients };
	struct host_tls *tls = NULL;
	int r = host_tls_load(&files, &tls, err);

	if (r != OK)
		return r;
	host_tls_unref(c->tls);
	c->tls = tls;
	c->fingerprint = fingerprint_of(c);
	return OK;
}
