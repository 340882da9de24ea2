/*
 * Digests (OCI image-spec, descriptor.md "digests"): algorithm and bytes, parsed
 * once at the edge. Only the registered algorithms sha256 and sha512, lower-case
 * hex, exact length. Pure values, no I/O; hashers are for one thread each.
 */
#ifndef STORE_TYPES_DIGEST_H
#define STORE_TYPES_DIGEST_H

#include "proto/runtime/mem.h"

enum digest_algorithm { DIGEST_NONE, DIGEST_SHA256, DIGEST_SHA512 };

enum {
	DIGEST_BYTES_MAX = 64,
	DIGEST_TEXT_MAX = 7 + 128 + 1, /* "sha512:" + hex + NUL */
	DIGEST_KEY_MAX = 1 + DIGEST_BYTES_MAX,
};

/* Bytes past the algorithm's length are zero, so that values compare whole. */
struct digest {
	uint8_t algorithm; /* enum digest_algorithm */
	uint8_t bytes[DIGEST_BYTES_MAX];
};

/* E_INVALID with docker's words: "invalid checksum digest format",
 * "invalid checksum digest length", "unsupported digest algorithm". */
int digest_parse(const char *text, struct digest *ret_digest, struct err *err);
int digest_parse_bytes(struct bytes text, struct digest *ret_digest, struct err *err);

/* "sha256:…" into out, which is returned. */
char *digest_text(const struct digest *d, char out[DIGEST_TEXT_MAX]);
/* Only the hex digits. */
char *digest_hex(const struct digest *d, char out[DIGEST_TEXT_MAX]);
const char *digest_algorithm_name(enum digest_algorithm a);
size_t digest_len(const struct digest *d); /* bytes: 32 or 64 */

bool digest_eq(const struct digest *a, const struct digest *b);
static inline bool digest_is_set(const struct digest *d)
{
	return d->algorithm != DIGEST_NONE;
}

/* ---- hashing -------------------------------------------------------------- */

enum { HASHER_STATE_MAX = 256 };

/* A running hash whose state can be saved at any multiple of the block size
 * (64 bytes; 128 for sha512), which EVP does not offer. */
struct hasher {
	enum digest_algorithm algorithm;
	uint64_t length; /* bytes hashed so far */
	union {
		uint64_t align;
		uint8_t opaque[256];
	} state;
};

void hasher_init(struct hasher *h, enum digest_algorithm algorithm);
void hasher_update(struct hasher *h, const void *data, size_t len);
struct digest hasher_final(struct hasher *h);
void digest_of(enum digest_algorithm algorithm, struct bytes data, struct digest *ret_digest);

/* The state as portable bytes with a version; false unless length is a multiple
 * of the block size. */
bool hasher_save(const struct hasher *h, uint8_t out[HASHER_STATE_MAX], size_t *ret_len);
/* E_CORRUPT when the bytes are no saved state. */
int hasher_load(struct hasher *h, struct bytes saved, struct err *err);
size_t hasher_block(const struct hasher *h);

#endif
