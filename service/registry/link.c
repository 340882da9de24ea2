#include "service/registry/link.h"

#include <ctype.h>
#include <strings.h>

static const char blanks[] = " \t";

static bool at_end(const struct bytes *s)
{
	return !s->len;
}

static void skip(struct bytes *s, size_t n)
{
	s->data += n;
	s->len -= n;
}

static void skip_any(struct bytes *s, const char *of)
{
	while (s->len && s->data[0] && strchr(of, s->data[0]))
		skip(s, 1);
}

static bool take_char(struct bytes *s, char c)
{
	if (!s->len || s->data[0] != (uint8_t)c)
		return false;
	skip(s, 1);
	return true;
}

/* Up to a byte of `stop`, which stays. */
static struct bytes take_until(struct bytes *s, const char *stop)
{
	struct bytes out = { s->data, 0 };

	while (s->len && !(s->data[0] && strchr(stop, s->data[0]))) {
		out.len++;
		skip(s, 1);
	}
	return out;
}

/* The inside of a quoted string, whose opening quote is taken. Names of relations need
 * no escapes, so they stay as they are. */
static struct bytes take_quoted(struct bytes *s)
{
	struct bytes out = { s->data, 0 };

	while (s->len && s->data[0] != '"') {
		size_t n = s->data[0] == '\\' && s->len > 1 ? 2 : 1;

		out.len += n;
		skip(s, n);
	}
	take_char(s, '"');
	return out;
}

static bool same_word(struct bytes b, const char *word)
{
	return b.len == strlen(word) && !strncasecmp((const char *)b.data, word, b.len);
}

/* One of several, with blanks between them. */
static bool has_word(struct bytes list, const char *word)
{
	while (!at_end(&list)) {
		skip_any(&list, blanks);
		if (same_word(take_until(&list, blanks), word))
			return true;
	}
	return false;
}

/* The parameters of one link. */
static bool is_next(struct bytes *s)
{
	bool next = false, seen = false;

	for (skip_any(s, blanks); take_char(s, ';'); skip_any(s, blanks)) {
		struct bytes name, value = { 0 };

		skip_any(s, blanks);
		name = take_until(s, "=;, \t");
		skip_any(s, blanks);
		if (take_char(s, '=')) {
			skip_any(s, blanks);
			value = take_char(s, '"') ? take_quoted(s) : take_until(s, ";, \t");
		}
		if (same_word(name, "rel") && !seen) {
			seen = true; /* a second one does not count */
			next = has_word(value, "next");
		}
	}
	return next;
}

bool link_next(struct bytes value, struct bytes *ret_target)
{
	while (!at_end(&value)) {
		struct bytes target;

		skip_any(&value, " \t,");
		if (!take_char(&value, '<'))
			return false;
		target = take_until(&value, ">");
		if (!take_char(&value, '>'))
			return false;
		if (is_next(&value)) {
			*ret_target = target;
			return true;
		}
		take_until(&value, ","); /* what is no parameter */
	}
	return false;
}

static bool default_port(const struct url *u)
{
	return u->port == (u->https ? 443 : 80);
}

/* A registry behind a TLS terminator believes that it speaks http. */
static bool same_host(const struct url *a, const struct url *b)
{
	return !strcmp(a->host, b->host) && (a->port == b->port || (default_port(a) && default_port(b)));
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (!isgraph((unsigned char)*text))
			return false;
	return true;
}

int link_query(const struct url *at, struct bytes target, char **ret_query, struct err *err)
{
	CLEANUP(freep) char *text = bytes_to_string(target);
	CLEANUP(url_free) struct url to = { 0 };
	struct err why = ERR_INIT;
	const char *query;

	if (!text)
		return fail(err, E_REGISTRY, "the link to the next page is not a URL");
	if (url_resolve(at, text, &to, &why) != OK)
		return fail(err, E_REGISTRY, "the link to the next page: %s", why.text);
	if (!same_host(at, &to))
		return fail(err, E_REGISTRY, "the link to the next page leads to another host: %s:%u", to.host,
			    to.port);
	query = strchr(to.text, '?');
	if (!query || !query[1] || strlen(query + 1) > LINK_QUERY_MAX || !is_printable(query + 1))
		return fail(err, E_REGISTRY, "the link to the next page names no page");
	*ret_query = strdup(query + 1);
	return *ret_query ? OK : fail_nomem(err);
}
