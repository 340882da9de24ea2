/*
 * Input: a reference, and after a newline a filter pattern. What parses must come
 * back the same from its canonical text.
 */
#include "store/types/platform.h"
#include "store/types/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_reference(const struct reference *ref, const char *pattern)
{
	char text[REFERENCE_TEXT_MAX], again[REFERENCE_TEXT_MAX];
	struct reference copy = { 0 };
	bool match;

	require(reference_parse(reference_text(ref, text), &copy, NULL) == OK);
	require(!strcmp(reference_text(&copy, again), text));
	require(strlen(ref->path) <= REFERENCE_PATH_MAX);
	require(strlen(reference_name(ref, text)) <= REFERENCE_NAME_MAX);
	require(strlen(reference_familiar_name(ref, again)) <= strlen(text));
	require(!strcmp(copy.domain, ref->domain) && !strcmp(copy.path, ref->path));
	(void)reference_match(ref, pattern, &match, NULL);
}

static void check_digest(struct bytes b)
{
	char text[DIGEST_TEXT_MAX];
	struct hasher h;
	struct digest d;
	struct err err;

	if (digest_parse_bytes(b, &d, &err) == OK)
		require(strlen(digest_text(&d, text)) == b.len && !memcmp(text, b.data, b.len));
	if (hasher_load(&h, b, &err) == OK)
		hasher_update(&h, "x", 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(freep) char *text = malloc(size + 1);
	struct reference ref;
	struct platform p;
	struct err err;
	char *newline;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = 0;
	check_digest((struct bytes){ data, size });
	(void)platform_parse(text, &p, &err);
	(void)reference_is_id_prefix(text);
	newline = strchr(text, '\n');
	if (newline)
		*newline = 0;
	if (reference_parse(text, &ref, &err) == OK)
		check_reference(&ref, newline ? newline + 1 : "*");
	return 0;
}
