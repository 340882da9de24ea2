/*
 * Input: WWW-Authenticate headers, one a line. Whatever is read must be bounded,
 * hold no control characters, and be what the choice then answers.
 */
#include "service/registry/challenge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_text(const char *text, size_t max)
{
	require(strnlen(text, max) < max);
	for (; *text; text++)
		require((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void check(const struct challenge *c)
{
	require(c->scheme != AUTH_NONE);
	check_text(c->realm, sizeof c->realm);
	check_text(c->service, sizeof c->service);
	check_text(c->scope, sizeof c->scope);
	check_text(c->error, sizeof c->error);
}

static void walk(struct bytes header)
{
	struct challenge_cursor c = { header };
	struct challenge ch;
	struct err err;
	size_t before = header.len;
	int r;

	while ((r = challenge_next(&c, &ch, &err)) == 1) {
		check(&ch);
		require(c.rest.len < before);
		before = c.rest.len;
	}
	require(r == 0 || r == E_INVALID);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes headers[8];
	struct challenge chosen;
	size_t n = 0;

	while (n < ARRAY_LEN(headers) && size) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t len = end ? (size_t)(end - data) : size;

		headers[n] = (struct bytes){ data, len };
		walk(headers[n++]);
		data += end ? len + 1 : len;
		size -= end ? len + 1 : len;
	}
	if (challenge_choose(headers, n, &chosen))
		require(chosen.scheme == AUTH_BASIC || chosen.scheme == AUTH_BEARER);
	return 0;
}
