/*
 * Input: a hosts.toml. What was read is bounded, has a host that a URL can be made of
 * (the registry itself may have none), and headers that are one line each.
 */
#include <ctype.h>

#include "service/registry/hosts_file.h"
#include "service/registry/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_url(const struct host_config *c)
{
	const struct scheme_case q = { c->authority, c->said, host_config_has_tls(c), false };
	struct scheme_rule rule = scheme_rule_of(&q);
	CLEANUP(freep) char *text = format("http%s://%s%s/", rule.https ? "s" : "", c->authority, c->path);
	CLEANUP(url_free) struct url u = { 0 };

	require(text && url_parse(text, &u, NULL) == OK && u.https == rule.https);
}

static void check(const struct host_config *c)
{
	require(strnlen(c->authority, sizeof c->authority) < sizeof c->authority);
	require(strnlen(c->path, sizeof c->path) < sizeof c->path);
	require(c->capabilities && !(c->capabilities & ~(unsigned)HOST_CAN_ALL));
	require(c->n_ca_files <= HOST_FILES_MAX && c->n_clients <= HOST_FILES_MAX);
	require(c->n_headers <= HOST_HEADERS_MAX && c->dial_timeout_ms >= 0);
	for (size_t i = 0; i < c->n_ca_files; i++)
		require(c->ca_files[i][0] == '/');
	for (size_t i = 0; i < c->n_headers; i++) {
		require(!strpbrk(c->headers[i].name, ": \t\r\n") && *c->headers[i].name);
		require(!strpbrk(c->headers[i].value, "\r\n"));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(host_list_free) struct host_list l = { 0 };
	struct err err = ERR_INIT;
	int r = hosts_file_parse("/etc/hosts.toml", (const char *)data, size, &l, &err);

	require(r == OK || r == E_BAD_CONTENT || r == E_NO_MEMORY);
	require(r != OK || (l.n >= 1 && l.n <= HOSTS_MAX && l.n_notes <= HOSTS_NOTES_MAX));
	for (size_t i = 0; i < l.n; i++) {
		check(&l.hosts[i]);
		if (i + 1 < l.n || *l.hosts[i].authority)
			check_url(&l.hosts[i]);
	}
	return 0;
}
