/*
 * Positions as tokens: hex of a signature (HMAC-SHA256 with the process's secret, over
 * the repository and all that follows, cut to 16 bytes), the walk, and two strings.
 */
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <stdio.h>

#include "service/registry/link.h"
#include "service/registry/tags.h"
#include "store/types/reference.h"

enum {
	SIGNATURE = 16,
	HEAD = sizeof(struct paging) + sizeof(uint64_t),
	POSITION_MAX = HEAD + LINK_QUERY_MAX + 1 + REFERENCE_TAG_MAX + 1,
};

static bool sign(const struct repository *r, struct bytes position, uint8_t out[SIGNATURE])
{
	static const char purpose[] = "tags";
	CLEANUP(buf_free) struct buf b = BUF_INIT(POSITION_MAX + 2 * REFERENCE_NAME_MAX + 64);
	const struct auth_context *secret = &r->registry->auth;
	uint8_t whole[EVP_MAX_MD_SIZE];

	/* Each text with its end, so that they cannot run into each other. */
	buf_append(&b, purpose, sizeof purpose);
	buf_append(&b, r->familiar, strlen(r->familiar) + 1);
	buf_append(&b, position.data, position.len);
	if (!buf_ok(&b) || !HMAC(EVP_sha256(), secret->salt, sizeof secret->salt, b.data, b.len, whole, NULL))
		return false;
	memcpy(out, whole, SIGNATURE);
	return true;
}

static char *hex_of(const uint8_t *signature, struct bytes position)
{
	char *out = malloc(2 * (SIGNATURE + position.len) + 1);

	for (size_t i = 0; out && i < SIGNATURE; i++)
		snprintf(out + 2 * i, 3, "%02x", signature[i]);
	for (size_t i = 0; out && i < position.len; i++)
		snprintf(out + 2 * (SIGNATURE + i), 3, "%02x", position.data[i]);
	return out;
}

char *tag_position_token(const struct repository *r, const struct tag_position *position)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(POSITION_MAX);
	const char *query = position->query ? position->query : "", *after = position->after ? position->after : "";
	uint8_t signature[SIGNATURE];

	buf_append(&b, &position->paging, sizeof position->paging);
	buf_append(&b, &position->given, sizeof position->given);
	buf_append(&b, query, strlen(query) + 1);
	buf_append(&b, after, strlen(after) + 1);
	if (!buf_ok(&b) || !sign(r, buf_bytes(&b), signature))
		return NULL;
	return hex_of(signature, buf_bytes(&b));
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool from_hex(const char *text, struct buf *out)
{
	size_t len = strlen(text);

	if (len % 2)
		return false;
	for (size_t i = 0; i < len; i += 2) {
		int high = hex_value(text[i]), low = hex_value(text[i + 1]);

		if (high < 0 || low < 0)
			return false;
		buf_putc(out, (char)(high * 16 + low));
	}
	return buf_ok(out) && out->len > SIGNATURE + HEAD;
}

/* Signed by us: its form is right. NULL for "". */
static bool take_text(const char **from, char **ret_text)
{
	const char *text = *from;

	*from += strlen(text) + 1;
	*ret_text = *text ? strdup(text) : NULL;
	return !*text || *ret_text;
}

int tag_position_parse(const struct repository *r, const char *token, struct tag_position *ret_position,
		       struct err *err)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(SIGNATURE + POSITION_MAX);
	CLEANUP(tag_position_free) struct tag_position p = { 0 };
	uint8_t signature[SIGNATURE];
	struct bytes position;
	const char *texts;

	if (!from_hex(token, &b))
		return fail(err, E_INVALID, "page_token is not one that ListTags gave out");
	position = (struct bytes){ b.data + SIGNATURE, b.len - SIGNATURE };
	if (!sign(r, position, signature))
		return fail_nomem(err);
	if (CRYPTO_memcmp(b.data, signature, SIGNATURE) != 0)
		return fail(err, E_INVALID, "page_token belongs to another repository or an earlier run of imaged");
	memcpy(&p.paging, position.data, sizeof p.paging);
	memcpy(&p.given, position.data + sizeof p.paging, sizeof p.given);
	texts = (const char *)position.data + HEAD;
	if (!take_text(&texts, &p.query) || !take_text(&texts, &p.after))
		return fail_nomem(err);
	*ret_position = TAKE(p);
	return OK;
}
