/*
 * The only file that uses OpenSSL's low-level SHA contexts: EVP cannot save a
 * running state, and resuming a download needs exactly that.
 *
 * Saved form: version 1, algorithm, eight chaining words and the length in bytes,
 * numbers big-endian. The contexts are copied out of `opaque` before their fields
 * are read, so that no object is seen through two types.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "store/types/digest.h"

#include <assert.h>
#include <openssl/sha.h>

enum { SAVED_VERSION = 1, SAVED_HEAD = 2, WORDS = 8 };

_Static_assert(sizeof(SHA256_CTX) <= sizeof(((struct hasher *)0)->state), "state holds SHA256_CTX");
_Static_assert(sizeof(SHA512_CTX) <= sizeof(((struct hasher *)0)->state), "state holds SHA512_CTX");
_Static_assert(_Alignof(SHA512_CTX) <= _Alignof(uint64_t), "state is aligned for SHA512_CTX");

static void *context(struct hasher *h)
{
	return h->state.opaque;
}

void hasher_init(struct hasher *h, enum digest_algorithm algorithm)
{
	assert(algorithm == DIGEST_SHA256 || algorithm == DIGEST_SHA512);
	*h = (struct hasher){ .algorithm = algorithm };
	if (algorithm == DIGEST_SHA512)
		SHA512_Init(context(h));
	else
		SHA256_Init(context(h));
}

void hasher_update(struct hasher *h, const void *data, size_t len)
{
	if (!len)
		return;
	if (h->algorithm == DIGEST_SHA512)
		SHA512_Update(context(h), data, len);
	else
		SHA256_Update(context(h), data, len);
	h->length += len;
}

struct digest hasher_final(struct hasher *h)
{
	struct digest d = { .algorithm = (uint8_t)h->algorithm };

	if (h->algorithm == DIGEST_SHA512)
		SHA512_Final(d.bytes, context(h));
	else
		SHA256_Final(d.bytes, context(h));
	return d;
}

void digest_of(enum digest_algorithm algorithm, struct bytes data, struct digest *ret_digest)
{
	struct hasher h;

	hasher_init(&h, algorithm);
	hasher_update(&h, data.data, data.len);
	*ret_digest = hasher_final(&h);
}

size_t hasher_block(const struct hasher *h)
{
	return h->algorithm == DIGEST_SHA512 ? SHA512_CBLOCK : SHA256_CBLOCK;
}

static size_t word_size(enum digest_algorithm a)
{
	return a == DIGEST_SHA512 ? 8 : 4;
}

static size_t saved_len(enum digest_algorithm a)
{
	return SAVED_HEAD + WORDS * word_size(a) + 8;
}

static uint8_t *put(uint8_t *p, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)(value >> 8 * (size - 1 - i));
	return p + size;
}

static uint64_t get(const uint8_t *p, size_t size)
{
	uint64_t value = 0;

	for (size_t i = 0; i < size; i++)
		value = value << 8 | p[i];
	return value;
}

static void read_words(const struct hasher *h, uint64_t words[WORDS])
{
	SHA256_CTX small;
	SHA512_CTX large;

	memcpy(&small, h->state.opaque, sizeof small);
	memcpy(&large, h->state.opaque, sizeof large);
	for (size_t i = 0; i < WORDS; i++)
		words[i] = h->algorithm == DIGEST_SHA512 ? large.h[i] : small.h[i];
}

bool hasher_save(const struct hasher *h, uint8_t out[HASHER_STATE_MAX], size_t *ret_len)
{
	uint64_t words[WORDS];
	uint8_t *p = out;

	if (h->length % hasher_block(h))
		return false;
	read_words(h, words);
	*p++ = SAVED_VERSION;
	*p++ = (uint8_t)h->algorithm;
	for (size_t i = 0; i < WORDS; i++)
		p = put(p, words[i], word_size(h->algorithm));
	put(p, h->length, 8);
	*ret_len = saved_len(h->algorithm);
	return true;
}

static void restore_small(struct hasher *h, const uint8_t *words)
{
	SHA256_CTX c;

	SHA256_Init(&c);
	for (size_t i = 0; i < WORDS; i++)
		c.h[i] = (SHA_LONG)get(words + 4 * i, 4);
	c.Nl = (SHA_LONG)(h->length << 3);
	c.Nh = (SHA_LONG)(h->length >> 29);
	memcpy(h->state.opaque, &c, sizeof c);
}

static void restore_large(struct hasher *h, const uint8_t *words)
{
	SHA512_CTX c;

	SHA512_Init(&c);
	for (size_t i = 0; i < WORDS; i++)
		c.h[i] = get(words + 8 * i, 8);
	c.Nl = h->length << 3;
	c.Nh = h->length >> 61;
	memcpy(h->state.opaque, &c, sizeof c);
}

int hasher_load(struct hasher *h, struct bytes saved, struct err *err)
{
	struct hasher loaded = { 0 };

	if (saved.len < SAVED_HEAD || saved.data[0] != SAVED_VERSION)
		return fail(err, E_CORRUPT, "saved hash state: unknown version");
	loaded.algorithm = saved.data[1];
	if (loaded.algorithm != DIGEST_SHA256 && loaded.algorithm != DIGEST_SHA512)
		return fail(err, E_CORRUPT, "saved hash state: unknown algorithm");
	if (saved.len != saved_len(loaded.algorithm))
		return fail(err, E_CORRUPT, "saved hash state: wrong length");
	loaded.length = get(saved.data + saved.len - 8, 8);
	if (loaded.length > INT64_MAX || loaded.length % hasher_block(&loaded))
		return fail(err, E_CORRUPT, "saved hash state: not at a block border");
	if (loaded.algorithm == DIGEST_SHA512)
		restore_large(&loaded, saved.data + SAVED_HEAD);
	else
		restore_small(&loaded, saved.data + SAVED_HEAD);
	*h = loaded;
	return OK;
}
