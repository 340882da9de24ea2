#include "service/registry/proxy.h"

#include <strings.h>

#include "service/registry/netaddr.h"

enum { ENTRY_MAX = 256 };

/* ---- the environment ------------------------------------------------------- */

/* The first that says something. HTTP_PROXY is not among them: it is a header's name
 * in CGI, so that libcurl never reads it. */
static const char *value_of(const char *const names[3])
{
	for (size_t i = 0; i < 3 && names[i]; i++) {
		const char *value = getenv(names[i]);

		if (value && *value)
			return value;
	}
	return NULL;
}

static bool copy(const char *const names[3], const char *fallback, char **ret)
{
	const char *value = value_of(names);

	value = value ? value : fallback;
	*ret = value ? strdup(value) : NULL;
	return !value || *ret;
}

int proxies_read(struct proxies *p, struct err *err)
{
	static const char *const http[3] = { "http_proxy" }, *const https[3] = { "https_proxy", "HTTPS_PROXY" };
	static const char *const all[3] = { "all_proxy", "ALL_PROXY" }, *const none[3] = { "no_proxy", "NO_PROXY" };
	const char *fallback = value_of(all);

	if (copy(http, fallback, &p->http) && copy(https, fallback, &p->https) && copy(none, NULL, &p->none))
		return OK;
	return fail_nomem(err);
}

void proxies_free(struct proxies *p)
{
	free(p->http);
	free(p->https);
	free(p->none);
	*p = (struct proxies){ 0 };
}

/* ---- no_proxy -------------------------------------------------------------- */

/* Cuts ":PORT" off an entry; true when there is none, or it is this one. */
static bool is_port(char *entry, uint16_t port)
{
	char *colon = strrchr(entry, ':');

	if (!colon || (strchr(entry, ':') != colon && colon[-1] != ']') || !colon[1] ||
	    colon[1 + strspn(colon + 1, "0123456789")])
		return true;
	*colon = 0;
	return strtoul(colon + 1, NULL, 10) == port;
}

static bool is_name_or_under(const char *host, const char *name)
{
	size_t host_len = strlen(host), len = strlen(name);

	while (host_len && host[host_len - 1] == '.')
		host_len--;
	while (len && name[len - 1] == '.')
		len--;
	if (!len || len > host_len || strncasecmp(host + host_len - len, name, len) != 0)
		return false;
	return len == host_len || host[host_len - len - 1] == '.';
}

static bool covers(char *entry, const struct url *u)
{
	struct network n, self;

	if (!is_port(entry, u->port))
		return false;
	if (network_parse(entry, &n))
		return network_has_host(&n, u->host);
	return !network_parse(u->host, &self) && is_name_or_under(u->host, entry + (entry[0] == '.'));
}

static bool goes_straight(const char *list, const struct url *u)
{
	static const char separators[] = ", \t";
	char entry[ENTRY_MAX];

	if (!strcmp(list, "*"))
		return true;
	for (list += strspn(list, separators); *list; list += strspn(list, separators)) {
		size_t len = strcspn(list, separators);

		if (len < sizeof entry) {
			memcpy(entry, list, len);
			entry[len] = 0;
			if (covers(entry, u))
				return true;
		}
		list += len;
	}
	return false;
}

const char *proxies_for(const struct proxies *p, const struct url *u)
{
	const char *proxy = u->https ? p->https : p->http;

	return proxy && !(p->none && goes_straight(p->none, u)) ? proxy : NULL;
}
