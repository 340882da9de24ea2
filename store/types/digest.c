#include "store/types/digest.h"

#include <stdio.h>

struct algorithm {
	const char *name;
	size_t len;
};

static const struct algorithm algorithms[] = {
	[DIGEST_NONE] = { "", 0 },
	[DIGEST_SHA256] = { "sha256", 32 },
	[DIGEST_SHA512] = { "sha512", 64 },
};

static const struct algorithm *algorithm_of(enum digest_algorithm a)
{
	return &algorithms[(size_t)a < ARRAY_LEN(algorithms) ? a : DIGEST_NONE];
}

const char *digest_algorithm_name(enum digest_algorithm a)
{
	return algorithm_of(a)->name;
}

size_t digest_len(const struct digest *d)
{
	return algorithm_of(d->algorithm)->len;
}

static int nibble(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static bool is_lower_alnum(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* component ( [.+_-] component )*, component = [a-z0-9]+ */
static bool is_algorithm_name(struct bytes b)
{
	bool after_component = false;

	for (size_t i = 0; i < b.len; i++) {
		if (is_lower_alnum(b.data[i]))
			after_component = true;
		else if (after_component && memchr(".+_-", b.data[i], 4))
			after_component = false;
		else
			return false;
	}
	return after_component;
}

/* What any algorithm, also one that we do not know, may have after the colon. */
static bool is_encoded(struct bytes b)
{
	for (size_t i = 0; i < b.len; i++) {
		uint8_t c = b.data[i];

		if (!is_lower_alnum(c) && !(c >= 'A' && c <= 'Z') && c != '=' && c != '_' && c != '-')
			return false;
	}
	return b.len > 0;
}

static enum digest_algorithm algorithm_by_name(struct bytes name)
{
	for (size_t i = DIGEST_SHA256; i < ARRAY_LEN(algorithms); i++)
		if (strlen(algorithms[i].name) == name.len && !memcmp(algorithms[i].name, name.data, name.len))
			return i;
	return DIGEST_NONE;
}

static int parse_hex(struct bytes hex, struct digest *d, struct err *err)
{
	if (hex.len != 2 * digest_len(d))
		return fail(err, E_INVALID, "invalid checksum digest length");
	for (size_t i = 0; i < hex.len; i += 2) {
		int high = nibble(hex.data[i]), low = nibble(hex.data[i + 1]);

		if (high < 0 || low < 0)
			return fail(err, E_INVALID, "invalid checksum digest format");
		d->bytes[i / 2] = (uint8_t)(high << 4 | low);
	}
	return OK;
}

int digest_parse_bytes(struct bytes text, struct digest *ret_digest, struct err *err)
{
	const uint8_t *colon = text.len ? memchr(text.data, ':', text.len) : NULL;
	struct bytes name, encoded;
	struct digest d = { 0 };
	int r;

	if (!colon || colon == text.data || colon + 1 == text.data + text.len)
		return fail(err, E_INVALID, "invalid checksum digest format");
	name = (struct bytes){ text.data, (size_t)(colon - text.data) };
	encoded = (struct bytes){ colon + 1, text.len - name.len - 1 };
	d.algorithm = algorithm_by_name(name);
	if (d.algorithm == DIGEST_NONE) {
		if (!is_algorithm_name(name) || !is_encoded(encoded))
			return fail(err, E_INVALID, "invalid checksum digest format");
		return fail(err, E_INVALID, "unsupported digest algorithm");
	}
	r = parse_hex(encoded, &d, err);
	if (r < 0)
		return r;
	*ret_digest = d;
	return OK;
}

int digest_parse(const char *text, struct digest *ret_digest, struct err *err)
{
	return digest_parse_bytes(bytes_of(text), ret_digest, err);
}

char *digest_hex(const struct digest *d, char out[DIGEST_TEXT_MAX])
{
	static const char digits[] = "0123456789abcdef";
	size_t n = digest_len(d);

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[d->bytes[i] >> 4];
		out[2 * i + 1] = digits[d->bytes[i] & 15];
	}
	out[2 * n] = 0;
	return out;
}

char *digest_text(const struct digest *d, char out[DIGEST_TEXT_MAX])
{
	char hex[DIGEST_TEXT_MAX];

	if (!digest_is_set(d))
		out[0] = 0;
	else
		snprintf(out, DIGEST_TEXT_MAX, "%s:%.128s", digest_algorithm_name(d->algorithm), digest_hex(d, hex));
	return out;
}

bool digest_eq(const struct digest *a, const struct digest *b)
{
	return a->algorithm == b->algorithm && !memcmp(a->bytes, b->bytes, sizeof a->bytes);
}
