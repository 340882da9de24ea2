#include "store/meta/keys.h"

#include <assert.h>

enum { NANOS_BYTES = 4, SECONDS_BYTES = 8, CREATED_BYTES = SECONDS_BYTES + NANOS_BYTES };

/* ---- building ------------------------------------------------------------- */

static void add(struct key *k, const void *data, size_t len)
{
	assert(len <= sizeof k->bytes - k->len);
	if (len)
		memcpy(k->bytes + k->len, data, len);
	k->len += len;
}

static struct key begin(char space)
{
	struct key k = { .len = 1 };

	k.bytes[0] = (uint8_t)space;
	return k;
}

static void add_digest(struct key *k, const struct digest *d)
{
	uint8_t bytes[DIGEST_KEY_MAX];

	add(k, bytes, digest_to_key(d, bytes));
}

static struct key one_digest(char space, const struct digest *d)
{
	struct key k = begin(space);

	if (d)
		add_digest(&k, d);
	return k;
}

static struct key two_digests(char space, const struct digest *a, const struct digest *b)
{
	struct key k = one_digest(space, a);

	add_digest(&k, b);
	return k;
}

static void add_be(struct key *k, uint64_t v, size_t len)
{
	uint8_t bytes[8];

	for (size_t i = len; i-- > 0; v >>= 8)
		bytes[i] = (uint8_t)v;
	add(k, bytes, len);
}

/* ---- taking apart --------------------------------------------------------- */

struct cursor {
	struct bytes rest;
	bool ok; /* all that was asked for was there */
};

static struct cursor open_key(struct bytes key, char space)
{
	struct cursor c = { .rest = key, .ok = key.len && key.data[0] == (uint8_t)space };

	if (c.ok)
		c.rest = (struct bytes){ key.data + 1, key.len - 1 };
	return c;
}

static const uint8_t *take(struct cursor *c, size_t len)
{
	const uint8_t *at = c->rest.data;

	if (!c->ok || len > c->rest.len) {
		c->ok = false;
		return NULL;
	}
	c->rest = (struct bytes){ at + len, c->rest.len - len };
	return at;
}

static size_t hash_len(uint8_t algorithm)
{
	return algorithm == DIGEST_SHA256 ? 32 : algorithm == DIGEST_SHA512 ? 64 : 0;
}

static void take_digest(struct cursor *c, struct digest *ret_digest)
{
	size_t len = c->rest.len ? hash_len(c->rest.data[0]) : 0;
	const uint8_t *at;

	c->ok = c->ok && len;
	at = take(c, 1 + len);
	if (!at)
		return;
	*ret_digest = (struct digest){ .algorithm = at[0] };
	memcpy(ret_digest->bytes, at + 1, len);
}

static uint64_t take_be(struct cursor *c, size_t len)
{
	const uint8_t *at = take(c, len);
	uint64_t v = 0;

	for (size_t i = 0; at && i < len; i++)
		v = v << 8 | at[i];
	return v;
}

static void take_reference(struct cursor *c, char ret_reference[REFERENCE_TEXT_MAX])
{
	size_t len = c->rest.len;

	c->ok = c->ok && len && len < REFERENCE_TEXT_MAX && !memchr(c->rest.data, 0, len);
	if (!c->ok)
		return;
	memcpy(ret_reference, take(c, len), len);
	ret_reference[len] = 0;
}

static void take_lease(struct cursor *c, struct lease_id *ret_id)
{
	const uint8_t *at = take(c, LEASE_ID_LEN);

	if (at)
		memcpy(ret_id->bytes, at, LEASE_ID_LEN);
}

static bool at_end(const struct cursor *c)
{
	return c->ok && !c->rest.len;
}

static bool parse_one(struct bytes key, char space, struct digest *ret_digest)
{
	struct cursor c = open_key(key, space);

	take_digest(&c, ret_digest);
	return at_end(&c);
}

static bool parse_two(struct bytes key, char space, struct digest *ret_a, struct digest *ret_b)
{
	struct cursor c = open_key(key, space);

	take_digest(&c, ret_a);
	take_digest(&c, ret_b);
	return at_end(&c);
}

/* ---- digests as bytes ----------------------------------------------------- */

size_t digest_to_key(const struct digest *d, uint8_t out[DIGEST_KEY_MAX])
{
	size_t len = hash_len(d->algorithm);

	assert(len);
	out[0] = d->algorithm;
	memcpy(out + 1, d->bytes, len);
	return 1 + len;
}

bool digest_from_key(struct bytes b, struct digest *ret_digest)
{
	struct cursor c = { b, true };

	take_digest(&c, ret_digest);
	return at_end(&c);
}

/* ---- names ---------------------------------------------------------------- */

bool key_name_fits(const char *canonical_reference)
{
	size_t edge_head = 1 + DIGEST_KEY_MAX + 1;
	size_t len = strlen(canonical_reference);

	return len && len <= META_KEY_MAX - edge_head;
}

struct key key_name(const char *canonical_reference)
{
	struct key k = begin('n');

	assert(key_name_fits(canonical_reference));
	add(&k, canonical_reference, strlen(canonical_reference));
	return k;
}

struct key key_name_prefix(const char *text)
{
	struct key k = begin('n');

	add(&k, text, strlen(text));
	return k;
}

bool key_parse_name(struct bytes key, char ret_reference[REFERENCE_TEXT_MAX])
{
	struct cursor c = open_key(key, 'n');

	take_reference(&c, ret_reference);
	return at_end(&c);
}

/* ---- images, indexes, configurations -------------------------------------- */

struct key key_image(const struct digest *manifest)
{
	return one_digest('m', manifest);
}

struct key key_image_prefix(void)
{
	return begin('m');
}

bool key_parse_image(struct bytes key, struct digest *ret_manifest)
{
	return parse_one(key, 'm', ret_manifest);
}

struct key key_index(const struct digest *index)
{
	return one_digest('i', index);
}

struct key key_index_prefix(void)
{
	return begin('i');
}

bool key_parse_index(struct bytes key, struct digest *ret_index)
{
	return parse_one(key, 'i', ret_index);
}

struct key key_config(const struct digest *config, const struct digest *manifest)
{
	return two_digests('c', config, manifest);
}

struct key key_config_prefix(const struct digest *config)
{
	return one_digest('c', config);
}

bool key_parse_config(struct bytes key, struct digest *ret_config, struct digest *ret_manifest)
{
	return parse_two(key, 'c', ret_config, ret_manifest);
}

static size_t config_bytes(struct bytes key)
{
	struct digest config, manifest;

	return key_parse_config(key, &config, &manifest) ? key_config_prefix(&config).len : 0;
}

#define SPACE(letter)                        \
	{                                    \
		(const uint8_t *)(letter), 1 \
	}

const struct meta_counter key_counters[KEY_COUNTERS] = {
	[KEY_COUNT_IMAGES] = { SPACE("c"), config_bytes },
	[KEY_COUNT_NAMES] = { SPACE("n"), NULL },
};

static unsigned hex_value(char c)
{
	assert((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

/* The keys of `space` whose sha256 begins with these digits: from the digits
 * followed by zeros to the number after them, counted in half bytes. */
static void hex_range(char space, const char *hex, struct key *ret_from, struct key *ret_to)
{
	uint8_t bytes[1 + 32] = { DIGEST_SHA256 };
	size_t n = strlen(hex);

	assert(n && n <= 64);
	for (size_t i = 0; i < n; i++)
		bytes[1 + i / 2] |= (uint8_t)(hex_value(hex[i]) << (i % 2 ? 0 : 4));
	*ret_from = begin(space);
	add(ret_from, bytes, 1 + (n + 1) / 2);
	for (size_t i = (n - 1) / 2 + 1, step = n % 2 ? 0x10 : 1; step; i--) {
		unsigned sum = bytes[i] + (unsigned)step;

		bytes[i] = (uint8_t)sum;
		step = sum >> 8; /* at last into the algorithm, which cannot overflow */
	}
	*ret_to = begin(space);
	add(ret_to, bytes, 1 + (n + 1) / 2);
}

void key_config_hex_range(const char *hex, struct key *ret_from, struct key *ret_to)
{
	hex_range('c', hex, ret_from, ret_to);
}

void key_image_hex_range(const char *hex, struct key *ret_from, struct key *ret_to)
{
	hex_range('m', hex, ret_from, ret_to);
}

/* ---- order and chains ----------------------------------------------------- */

/* Seconds are signed: flipping the sign bit makes them ordered as unsigned, and the
 * complement turns newest first. An absent time is the smallest: last. */
static uint64_t inverted_seconds(int64_t seconds)
{
	return ~((uint64_t)seconds ^ (uint64_t)1 << 63);
}

struct key key_order(const struct timestamp *created, const struct digest *manifest)
{
	struct key k = begin('o');

	add_be(&k, inverted_seconds(created->present ? created->seconds : INT64_MIN), SECONDS_BYTES);
	add_be(&k, created->present ? ~(uint32_t)created->nanos : UINT32_MAX, NANOS_BYTES);
	add_digest(&k, manifest);
	return k;
}

struct key key_order_prefix(void)
{
	return begin('o');
}

bool key_parse_order(struct bytes key, struct timestamp *ret_created, struct digest *ret_manifest)
{
	struct cursor c = open_key(key, 'o');

	ret_created->seconds = (int64_t)(~take_be(&c, SECONDS_BYTES) ^ (uint64_t)1 << 63);
	ret_created->nanos = (int32_t) ~(uint32_t)take_be(&c, NANOS_BYTES);
	ret_created->present = ret_created->seconds != INT64_MIN;
	take_digest(&c, ret_manifest);
	return at_end(&c);
}

struct key key_chain(const struct digest *chain, const struct digest *manifest)
{
	return two_digests('h', chain, manifest);
}

struct key key_chain_prefix(const struct digest *chain)
{
	return one_digest('h', chain);
}

bool key_parse_chain(struct bytes key, struct digest *ret_chain, struct digest *ret_manifest)
{
	return parse_two(key, 'h', ret_chain, ret_manifest);
}

/* ---- edges ---------------------------------------------------------------- */

struct key key_edge(const struct digest *child, const struct edge_parent *parent)
{
	struct key k = key_edge_kind_prefix(child, parent->kind);

	switch (parent->kind) {
	case EDGE_MANIFEST:
	case EDGE_INDEX:
		add_digest(&k, &parent->digest);
		break;
	case EDGE_NAME:
		assert(key_name_fits(parent->reference));
		add(&k, parent->reference, strlen(parent->reference));
		break;
	case EDGE_LEASE:
		add(&k, parent->lease.bytes, LEASE_ID_LEN);
		break;
	}
	return k;
}

struct key key_edge_prefix(const struct digest *child)
{
	return one_digest('e', child);
}

struct key key_edge_kind_prefix(const struct digest *child, enum edge_kind kind)
{
	struct key k = one_digest('e', child);
	uint8_t byte = (uint8_t)kind;

	add(&k, &byte, 1);
	return k;
}

struct key key_edge_all(void)
{
	return begin('e');
}

bool key_parse_edge(struct bytes key, struct digest *ret_child, struct edge_parent *ret_parent)
{
	struct cursor c = open_key(key, 'e');
	const uint8_t *kind;

	take_digest(&c, ret_child);
	kind = take(&c, 1);
	if (!kind)
		return false;
	ret_parent->kind = (enum edge_kind) * kind;
	switch (ret_parent->kind) {
	case EDGE_MANIFEST:
	case EDGE_INDEX:
		take_digest(&c, &ret_parent->digest);
		return at_end(&c);
	case EDGE_NAME:
		take_reference(&c, ret_parent->reference);
		return at_end(&c);
	case EDGE_LEASE:
		take_lease(&c, &ret_parent->lease);
		return at_end(&c);
	}
	return false;
}

/* ---- guards, leases, events, settings ------------------------------------- */

struct key key_parent(const struct digest *config, const struct digest *parent)
{
	return two_digests('q', config, parent);
}

struct key key_parent_prefix(const struct digest *config)
{
	return one_digest('q', config);
}

bool key_parse_parent(struct bytes key, struct digest *ret_config, struct digest *ret_parent)
{
	return parse_two(key, 'q', ret_config, ret_parent);
}

struct key key_child(const struct digest *parent, const struct digest *config)
{
	return two_digests('x', parent, config);
}

struct key key_child_prefix(const struct digest *parent)
{
	return one_digest('x', parent);
}

bool key_parse_child(struct bytes key, struct digest *ret_parent, struct digest *ret_config)
{
	return parse_two(key, 'x', ret_parent, ret_config);
}

struct key key_pin(const struct digest *config)
{
	return one_digest('z', config);
}

struct key key_guard(const struct digest *manifest)
{
	return one_digest('g', manifest);
}

struct key key_guard_prefix(void)
{
	return begin('g');
}

struct key key_lease(const struct lease_id *id)
{
	struct key k = begin('l');

	add(&k, id->bytes, LEASE_ID_LEN);
	return k;
}

struct key key_lease_prefix(void)
{
	return begin('l');
}

bool key_parse_lease(struct bytes key, struct lease_id *ret_id)
{
	struct cursor c = open_key(key, 'l');

	take_lease(&c, ret_id);
	return at_end(&c);
}

struct key key_held(const struct lease_id *id, const struct digest *blob)
{
	struct key k = key_held_prefix(id);

	add_digest(&k, blob);
	return k;
}

struct key key_held_prefix(const struct lease_id *id)
{
	struct key k = begin('k');

	if (id)
		add(&k, id->bytes, LEASE_ID_LEN);
	return k;
}

bool key_parse_held(struct bytes key, struct lease_id *ret_id, struct digest *ret_blob)
{
	struct cursor c = open_key(key, 'k');

	take_lease(&c, ret_id);
	take_digest(&c, ret_blob);
	return at_end(&c);
}

struct key key_event(uint64_t revision)
{
	struct key k = begin('v');

	add_be(&k, revision, 8);
	return k;
}

struct key key_event_prefix(void)
{
	return begin('v');
}

bool key_parse_event(struct bytes key, uint64_t *ret_revision)
{
	struct cursor c = open_key(key, 'v');

	*ret_revision = take_be(&c, 8);
	return at_end(&c);
}

struct key key_setting(const char *name)
{
	struct key k = begin('s');

	add(&k, name, strlen(name));
	return k;
}

/* ---- local ---------------------------------------------------------------- */

struct key key_layer(const struct digest *blob)
{
	return one_digest('b', blob);
}

struct key key_layer_prefix(void)
{
	return begin('b');
}

bool key_parse_layer(struct bytes key, struct digest *ret_blob)
{
	return parse_one(key, 'b', ret_blob);
}

struct key key_diff(const struct digest *diff_id, const struct digest *blob)
{
	return two_digests('f', diff_id, blob);
}

struct key key_diff_prefix(const struct digest *diff_id)
{
	return one_digest('f', diff_id);
}

bool key_parse_diff(struct bytes key, struct digest *ret_diff_id, struct digest *ret_blob)
{
	return parse_two(key, 'f', ret_diff_id, ret_blob);
}

struct key key_layer_image(const struct digest *diff_id, uint32_t version)
{
	struct key k = one_digest('t', diff_id);

	add_be(&k, version, 4);
	return k;
}

struct key key_layer_image_prefix(const struct digest *diff_id)
{
	return one_digest('t', diff_id);
}

bool key_parse_layer_image(struct bytes key, struct digest *ret_diff_id, uint32_t *ret_version)
{
	struct cursor c = open_key(key, 't');

	take_digest(&c, ret_diff_id);
	*ret_version = (uint32_t)take_be(&c, 4);
	return at_end(&c);
}

struct key key_mount(const struct mount_id *id)
{
	struct key k = begin('r');

	add(&k, id->bytes, MOUNT_ID_LEN);
	return k;
}

struct key key_mount_prefix(void)
{
	return begin('r');
}

bool key_parse_mount(struct bytes key, struct mount_id *ret_id)
{
	struct cursor c = open_key(key, 'r');
	const uint8_t *at = take(&c, MOUNT_ID_LEN);

	if (at)
		memcpy(ret_id->bytes, at, MOUNT_ID_LEN);
	return at_end(&c);
}

struct key key_context(const struct digest *id)
{
	return one_digest('d', id);
}

struct key key_context_prefix(void)
{
	return begin('d');
}

bool key_parse_context(struct bytes key, struct digest *ret_id)
{
	return parse_one(key, 'd', ret_id);
}

struct key key_step(const struct digest *first)
{
	return one_digest('p', first);
}

struct key key_step_prefix(void)
{
	return begin('p');
}

bool key_parse_step(struct bytes key, struct digest *ret_first)
{
	return parse_one(key, 'p', ret_first);
}

struct key key_step_alias(const struct digest *key)
{
	return one_digest('a', key);
}

struct key key_step_alias_prefix(void)
{
	return begin('a');
}

bool key_parse_step_alias(struct bytes key, struct digest *ret_key)
{
	return parse_one(key, 'a', ret_key);
}

struct key key_note(const struct digest *key)
{
	return one_digest('j', key);
}

struct key key_note_prefix(void)
{
	return begin('j');
}

bool key_parse_note(struct bytes key, struct digest *ret_key)
{
	return parse_one(key, 'j', ret_key);
}

struct key key_cache_mount(const struct digest *key)
{
	return one_digest('w', key);
}

struct key key_cache_mount_prefix(void)
{
	return begin('w');
}

bool key_parse_cache_mount(struct bytes key, struct digest *ret_key)
{
	return parse_one(key, 'w', ret_key);
}

struct key key_build(const char *id)
{
	struct key k = begin('y');

	assert(strlen(id) < BUILD_KEY_TEXT_MAX);
	add(&k, id, strlen(id));
	return k;
}

bool key_parse_build(struct bytes key, char ret_id[BUILD_KEY_TEXT_MAX])
{
	struct cursor c = open_key(key, 'y');
	size_t len = c.rest.len;
	const uint8_t *at;

	if (!c.ok || !len || len >= BUILD_KEY_TEXT_MAX)
		return false;
	at = take(&c, len);
	memcpy(ret_id, at, len);
	ret_id[len] = 0;
	return at_end(&c);
}

struct key key_use(const struct digest *manifest)
{
	return one_digest('u', manifest);
}

struct key key_use_prefix(void)
{
	return begin('u');
}

bool key_parse_use(struct bytes key, struct digest *ret_manifest)
{
	return parse_one(key, 'u', ret_manifest);
}
