/*
 * Input: a Location or realm as a registry sends it; after a newline a
 * Content-Range, after others a Retry-After and the Range of an upload. A URL that is
 * taken must be http(s), without a user, parse again to itself, and neither a redirect
 * nor an upload ever leaves https.
 */
#include <strings.h>

#include "service/registry/content_range.h"
#include "service/registry/redirect.h"
#include "service/registry/retry.h"
#include "service/registry/upload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_url(const struct url *u)
{
	CLEANUP(url_free) struct url again = { 0 };
	CLEANUP(freep) char *shown = url_for_display(u->text);

	require(!strncasecmp(u->text, u->https ? "https://" : "http://", u->https ? 8 : 7));
	require(shown && !strchr(shown, '?') && !strchr(shown, '#'));
	if (url_parse(u->text, &again, NULL) == OK)
		require(url_same_origin(u, &again));
}

static void check_redirect(const char *location)
{
	static const char from[] = "https://registry.example:5000/v2/a/blobs/x?y=1";
	CLEANUP(url_free) struct url at = { 0 }, to = { 0 };

	require(url_parse(from, &at, NULL) == OK);
	if (redirect_next(&at, location, 0, &to, NULL) != OK)
		return;
	require(to.https);
	check_url(&to);
	require(redirect_reach(&at, &to) == HTTP_REACH_PUBLIC || !strcmp(to.host, at.host));
}

static void check_upload(const char *location)
{
	CLEANUP(url_free) struct url origin = { 0 }, at = { 0 }, to = { 0 };
	CLEANUP(freep) char *text = NULL;

	require(url_parse("https://registry.example:5000/", &origin, NULL) == OK);
	require(url_parse("https://registry.example:5000/v2/a/blobs/uploads/?x=1", &at, NULL) == OK);
	if (upload_location(&origin, &at, location, &text, NULL) != OK)
		return;
	require(url_parse(text, &to, NULL) != OK || to.https);
}

static void check_range(const char *value)
{
	struct content_range r;

	if (content_range_parse(value, &r))
		require(r.first >= 0 && r.first <= r.last && (r.total < 0 || r.last < r.total));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(freep) char *text = malloc(size + 1);
	CLEANUP(url_free) struct url u = { 0 };
	char *rest = text, *line;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = 0;
	line = strsep(&rest, "\n");
	if (url_parse(line, &u, NULL) == OK)
		check_url(&u);
	check_redirect(line);
	check_upload(line);
	if ((line = strsep(&rest, "\n")))
		check_range(line);
	if ((line = strsep(&rest, "\n")))
		require(retry_after_ms(line, 1000) >= 0);
	if ((line = strsep(&rest, "\n")))
		require(upload_range_end(line) >= -1 && upload_range_end(line) != 0);
	return 0;
}
