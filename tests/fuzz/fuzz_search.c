/*
 * Input: what an index, the Hub API, or the catalog of a registry answers. Results are
 * as many as asked for at most, with a printable name, a description of well-formed
 * UTF-8, and counts that are not negative; names are strings.
 */
#include "proto/runtime/utf8.h"
#include "service/registry/names.h"
#include "service/registry/search_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 7 };

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_text(const char *text)
{
	struct bytes rest = bytes_of(text);
	uint32_t rune;

	while (rest.len) {
		size_t n = utf8_rune(rest, &rune);

		require(n > 0 && rune != 0x1b && rune != 0x7f);
		rest = (struct bytes){ rest.data + n, rest.len - n };
	}
}

static void check(const struct search_results *r)
{
	require(r->n <= LIMIT);
	for (size_t i = 0; i < r->n; i++) {
		require(*r->items[i].name && strlen(r->items[i].name) <= SEARCH_NAME_MAX);
		check_text(r->items[i].name);
		check_text(r->items[i].description);
		require(r->items[i].stars >= 0 && r->items[i].pulls >= 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(search_results_free) struct search_results index = { 0 }, hub = { 0 };
	CLEANUP(names_free) struct names names = { 0 };
	struct bytes json = { data, size };

	if (search_parse_index(json, LIMIT, &index, NULL) == OK)
		check(&index);
	if (search_parse_hub(json, LIMIT, &hub, NULL) == OK)
		check(&hub);
	if (names_parse(json, "repositories", &names, NULL) == OK)
		for (size_t i = 0; i < names.n; i++)
			require(names.items[i] != NULL);
	return 0;
}
