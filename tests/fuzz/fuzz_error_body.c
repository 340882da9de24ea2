/*
 * Input: the body of an error response. Its text must be bounded, be well-formed
 * UTF-8 without control characters, and stay as it is when it is cleaned again.
 */
#include "service/registry/error_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check(const char *text, size_t max)
{
	char again[ERROR_TEXT_MAX * 2];

	require(strnlen(text, max) < max);
	for (const char *c = text; *c; c++)
		require((unsigned char)*c >= 0x20 && *c != 0x7f);
	text_clean(bytes_of(text), again, sizeof again);
	require(strlen(again) <= strlen(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error_body e;
	char small[16];

	error_body_parse((struct bytes){ data, size }, &e);
	check(e.text, sizeof e.text);
	check(e.code, sizeof e.code);
	check(text_clean((struct bytes){ data, size }, small, sizeof small), sizeof small);
	return 0;
}
