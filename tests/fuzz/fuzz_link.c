/*
 * Input: a Link header; after a newline a Warning header. A query that is taken is
 * printable and bounded, and comes from a target on the same host. A warning is one
 * line of clean text.
 */
#include "service/registry/error_body.h"
#include "service/registry/link.h"
#include "service/registry/warning.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_link(struct bytes value)
{
	static const char from[] = "https://registry.example:5000/v2/a/tags/list";
	CLEANUP(url_free) struct url at = { 0 };
	CLEANUP(freep) char *query = NULL;
	struct bytes target;

	if (!link_next(value, &target))
		return;
	require(target.data >= value.data && target.data + target.len <= value.data + value.len);
	require(url_parse(from, &at, NULL) == OK);
	if (link_query(&at, target, &query, NULL) != OK)
		return;
	require(*query && strlen(query) <= LINK_QUERY_MAX);
	for (const char *c = query; *c; c++)
		require(*c > ' ' && *c < 0x7f);
}

static void check_warning(const char *value)
{
	char text[64], again[64];

	if (!warning_parse(value, text, sizeof text))
		return;
	require(*text && !strpbrk(text, "\n\r\t\x1b"));
	text_clean(bytes_of(text), again, sizeof again);
	require(strlen(again) <= strlen(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(freep) char *text = malloc(size + 1);
	char *rest = text, *line;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = 0;
	check_link((struct bytes){ data, size });
	line = strsep(&rest, "\n");
	check_link(bytes_of(line));
	if ((line = strsep(&rest, "\n")))
		check_warning(line);
	return 0;
}
