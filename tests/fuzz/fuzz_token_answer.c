/*
 * Input: the answer of a token server. A token that is taken must fit a header, and
 * its end must lie in the time that tokens may live.
 */
#include "service/registry/token_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check(const struct secret *s)
{
	require(s->text[0] != 0 && strlen(s->text) < TOKEN_BODY_MAX);
	for (const char *c = s->text; *c; c++)
		require(*c > ' ' && *c < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(secret_wipe) struct secret refresh = { 0 };
	struct err err = ERR_INIT;
	struct token token = { 0 };
	int r = token_answer_parse((struct bytes){ data, size }, 1000, &token, &refresh, &err);

	require(r == OK || r == E_REGISTRY);
	if (r == OK) {
		check(&token.text);
		require(token.expires_at >= 1000 + TOKEN_LIFE_MIN_S && token.expires_at <= 1000 + TOKEN_LIFE_MAX_S);
	}
	if (secret_is_set(&refresh))
		check(&refresh);
	secret_wipe(&token.text);
	return 0;
}
