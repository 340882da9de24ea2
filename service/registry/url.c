#include "service/registry/url.h"

#include <ctype.h>
#include <curl/curl.h>
#include <strings.h>

static void cleanup_handle(CURLU **u)
{
	curl_url_cleanup(*u);
}

static void cleanup_text(char **text)
{
	curl_free(*text);
}

static int bad(const char *text, const char *why, struct err *err)
{
	CLEANUP(freep) char *shown = url_for_display(text);

	return fail(err, E_INVALID, "invalid URL \"%s\": %s", shown ? shown : "", why);
}

static bool has_part(CURLU *u, CURLUPart part)
{
	CLEANUP(cleanup_text) char *text = NULL;

	return curl_url_get(u, part, &text, 0) == CURLUE_OK;
}

/* libcurl decodes a host when it reads a URL, and reads it again when it connects: a host
 * that becomes another one then ("0%300", 000, 0.0.0.0) is not the one that was looked at. */
static bool is_settled(const char *whole, const char *host)
{
	CLEANUP(cleanup_handle) CURLU *u = curl_url();
	CLEANUP(cleanup_text) char *again = NULL;

	return u && curl_url_set(u, CURLUPART_URL, whole, CURLU_PATH_AS_IS) == CURLUE_OK &&
	       curl_url_get(u, CURLUPART_HOST, &again, 0) == CURLUE_OK && !strcmp(again, host);
}

static int take_parts(CURLU *u, const char *shown, struct url *ret_url, struct err *err)
{
	CLEANUP(cleanup_text) char *whole = NULL, *scheme = NULL, *host = NULL, *port = NULL;
	CLEANUP(url_free) struct url out = { 0 };

	curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
	if (curl_url_get(u, CURLUPART_URL, &whole, 0) || curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) || curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT))
		return bad(shown, "host or scheme is missing", err);
	if (strlen(whole) > URL_MAX)
		return bad(shown, "too long", err);
	out.https = !strcasecmp(scheme, "https");
	if (!out.https && strcasecmp(scheme, "http") != 0)
		return bad(shown, "neither http nor https", err);
	if (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD))
		return bad(shown, "it carries a user or a password", err);
	if (!is_settled(whole, host))
		return bad(shown, "the host is written in a way that has two meanings", err);
	out.port = (uint16_t)strtoul(port, NULL, 10);
	out.text = strdup(whole);
	out.host = strdup(host);
	if (!out.text || !out.host)
		return fail_nomem(err);
	for (char *c = out.host; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	*ret_url = TAKE(out);
	return OK;
}

static int resolve(const char *base, const char *text, struct url *ret_url, struct err *err)
{
	enum { LENIENT = CURLU_PATH_AS_IS | CURLU_URLENCODE | CURLU_ALLOW_SPACE };
	CLEANUP(cleanup_handle) CURLU *u = curl_url();

	if (!u)
		return fail_nomem(err);
	if (strlen(text) > URL_MAX)
		return bad("", "too long", err);
	if (base && curl_url_set(u, CURLUPART_URL, base, CURLU_PATH_AS_IS) != CURLUE_OK)
		return bad(base, "not a URL", err);
	if (curl_url_set(u, CURLUPART_URL, text, base ? LENIENT : CURLU_PATH_AS_IS) != CURLUE_OK)
		return bad(text, "not a URL", err);
	return take_parts(u, text, ret_url, err);
}

int url_parse(const char *text, struct url *ret_url, struct err *err)
{
	return resolve(NULL, text, ret_url, err);
}

int url_resolve(const struct url *base, const char *location, struct url *ret_url, struct err *err)
{
	return resolve(base->text, location, ret_url, err);
}

void url_free(struct url *u)
{
	free(u->text);
	free(u->host);
	*u = (struct url){ 0 };
}

bool url_same_origin(const struct url *a, const struct url *b)
{
	return a->https == b->https && a->port == b->port && !strcmp(a->host, b->host);
}

bool url_encode(struct buf *out, const char *text)
{
	static const char hex[] = "0123456789ABCDEF";
	bool ok = true;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c < 128 && isalnum(c)) || strchr("-._~", c))
			ok &= buf_putc(out, (char)c);
		else
			ok &= buf_putc(out, '%') && buf_putc(out, hex[c >> 4]) && buf_putc(out, hex[c & 15]);
	}
	return ok;
}

bool url_add_query(struct buf *url, const char *name, const char *value)
{
	char mark = strchr(buf_text(url), '?') ? '&' : '?';

	return buf_putc(url, mark) && url_encode(url, name) && buf_putc(url, '=') && url_encode(url, value);
}

char *url_for_display(const char *url)
{
	size_t len = strcspn(url, "?#");
	const char *host = memmem(url, len, "://", 3);
	const char *from = host ? host + 3 : url;
	size_t authority = strcspn(from, "/?#");
	const char *at = memrchr(from, '@',
				 authority < (size_t)(url + len - from) ? authority : (size_t)(url + len - from));
	char *text = malloc(len + 1);
	size_t n = 0;

	if (!text)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		bool hidden = at && url + i >= from && url + i <= at;
		unsigned char c = (unsigned char)url[i];

		if (!hidden)
			text[n++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	text[n] = 0;
	return text;
}

/* With ssh a name is no secret. */
static const char *mask_of(const char *url, bool has_password)
{
	if (!strncasecmp(url, "http://", strlen("http://")) || !strncasecmp(url, "https://", strlen("https://")))
		return has_password ? "xxxxx:xxxxx" : "xxxxx";
	return has_password && !strncasecmp(url, "ssh://", strlen("ssh://")) ? "xxxxx:xxxxx" : NULL;
}

char *url_masked(const char *url)
{
	const char *scheme = strstr(url, "://"), *from = scheme ? scheme + 3 : url;
	const char *at = memrchr(from, '@', strcspn(from, "/?#"));
	const char *mask = at ? mask_of(url, memchr(from, ':', (size_t)(at - from))) : NULL;

	return mask ? format("%.*s%s%s", (int)(from - url), url, mask, at) : strdup(url);
}

char *url_request_whole(const char *method, const char *url)
{
	char *shown = format("%s \"%s\"", method, url);

	for (size_t i = 1; shown && i < strlen(method); i++)
		shown[i] = (char)tolower((unsigned char)shown[i]);
	return shown;
}

char *url_request_shown(const char *method, const char *url)
{
	CLEANUP(freep) char *text = url_for_display(url);

	return text ? url_request_whole(method, text) : NULL;
}
