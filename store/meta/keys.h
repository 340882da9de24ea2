/*
 * The key schema: every key of both spaces is built and taken apart here, and
 * nobody else spells a prefix. Values: store/records.proto. D(x) is a digest as a
 * key: one byte for the algorithm and the hash (digests are fixed-length per
 * algorithm, so concatenations stay unambiguous and ordered). References are
 * canonical text, capped by store/types/reference.h, so that every key fits 500
 * bytes.
 *
 * shared (LMDB, later etcd)
 *   n REFERENCE                 NameRecord    a name (with tag or with digest)
 *   m D(manifest)               ImageRecord   a complete image
 *   i D(index)                  IndexRecord   an index that is kept
 *   c D(config) D(manifest)     -             image ID → its manifests
 *   o CREATED D(manifest)       -             newest first: CREATED is the inverted
 *                                             time (8 bytes seconds, 4 bytes nanos);
 *                                             images without a time come last
 *   h D(chain) D(manifest)      int64 LE      images that use a layer chain; size of its top layer
 *   e D(child) P PARENT         -             reverse edge; P is the parent's kind:
 *                                             'm' D(manifest) needs this config or layer,
 *                                             'i' D(index) lists this manifest,
 *                                             'n' REFERENCE has it as root or manifest,
 *                                             'l' LEASE holds it
 *   q D(config) D(parent)       -             the image that this one was made from
 *   x D(parent) D(config)       -             and those that were made from one (image/parent.h)
 *   z D(config)                 -             the image is pinned by hand (image/pins.h)
 *   g D(manifest)               GuardRecord   edges of an image are being written whose
 *                                             record does not exist yet
 *   l LEASE                     LeaseRecord   LEASE is 16 random bytes
 *   k LEASE D(blob)             -             what a lease holds
 *   v REVISION                  EventRecord   8 bytes big endian
 *   s NAME                      text          settings: "schema" = version; "trimmed" =
 *                                             the newest event that was dropped
 *
 * local (always LMDB)
 *   b D(blob)                   LayerRecord   a layer blob whose diff ID was verified
 *   f D(diff) D(blob)           -             diff ID → blobs
 *   t D(diff) VERSION           LayerImageRecord  a layer's image that is complete, made by
 *                                             this version of the writer (4 bytes big endian)
 *   r MOUNT                     MountRecord   an image mounted at a directory; MOUNT is 8
 *                                             random bytes
 *   d D(id)                     ContextRecord files of a client's build context; sha256 of its id
 *   p D(key)                    StepRecord    what a step of a build made, by its first key
 *   a D(key)                    D(first)      another key of a step; counts while that one's
 *                                             record lists it
 *   j D(key)                    NoteRecord    a few bytes that a build wants to know again
 *   w D(key)                    CacheMountRecord  a directory of RUN --mount=type=cache
 *   y BUILD                     BuildRecord   a build that runs or ran; its ID's text
 *   u D(manifest)               UseRecord     last used
 *   s NAME                      text
 *
 * What an edge says counts only while its parent exists. Order of writes that span
 * transactions: edges (e, h) before the record that is their parent, and when
 * removing the record before its edges; so an edge without its parent is garbage,
 * never a hole (gc.h clears it). Whoever clears the edges of a manifest compares,
 * in the same transaction, that neither m nor g exists; whoever writes edges ahead
 * of the record puts g first and compares g when the record goes in. So neither
 * can take the edges of the other away, on one machine or on many.
 *
 * Edges of kinds m, n and l keep their child from being collected; i only tells
 * which indexes list a manifest. Keys that begin with a zero byte are the back
 * end's own.
 */
#ifndef STORE_META_KEYS_H
#define STORE_META_KEYS_H

#include "store/meta/meta.h"
#include "store/types/image_config.h"
#include "store/types/reference.h"

enum { LEASE_ID_LEN = 16, MOUNT_ID_LEN = 8, BUILD_KEY_TEXT_MAX = 26 };

struct lease_id {
	uint8_t bytes[LEASE_ID_LEN];
};

struct mount_id {
	uint8_t bytes[MOUNT_ID_LEN];
};

struct key {
	size_t len; /* <= META_KEY_MAX */
	uint8_t bytes[META_KEY_MAX];
};

static inline struct bytes key_bytes(const struct key *k)
{
	return (struct bytes){ k->bytes, k->len };
}

enum edge_kind { EDGE_MANIFEST = 'm', EDGE_INDEX = 'i', EDGE_NAME = 'n', EDGE_LEASE = 'l' };

struct edge_parent {
	enum edge_kind kind;
	struct digest digest;		    /* EDGE_MANIFEST, EDGE_INDEX */
	char reference[REFERENCE_TEXT_MAX]; /* EDGE_NAME */
	struct lease_id lease;		    /* EDGE_LEASE */
};

/* Whether the text can be a name: of the longest references those with both a tag
 * and a digest do not fit a key, and they are no names (docker stores NAME@DIGEST). */
bool key_name_fits(const char *canonical_reference);

/* Digests inside values. */
size_t digest_to_key(const struct digest *d, uint8_t out[DIGEST_KEY_MAX]);
bool digest_from_key(struct bytes b, struct digest *ret_digest);

struct key key_name(const char *canonical_reference);
struct key key_name_prefix(const char *text); /* all names that begin so; "" for all */
bool key_parse_name(struct bytes key, char ret_reference[REFERENCE_TEXT_MAX]);

struct key key_image(const struct digest *manifest);
struct key key_image_prefix(void);
bool key_parse_image(struct bytes key, struct digest *ret_manifest);

struct key key_index(const struct digest *index);
struct key key_index_prefix(void);
bool key_parse_index(struct bytes key, struct digest *ret_index);

struct key key_config(const struct digest *config, const struct digest *manifest);
struct key key_config_prefix(const struct digest *config); /* NULL: all */
/* All configs whose hex begins so: `hex` is 1..64 lower-case digits. For sha256. */
void key_config_hex_range(const char *hex, struct key *ret_from, struct key *ret_to);
void key_image_hex_range(const char *hex, struct key *ret_from, struct key *ret_to);
bool key_parse_config(struct bytes key, struct digest *ret_config, struct digest *ret_manifest);

/* What a space counts: images, by their configurations, and names. */
enum { KEY_COUNT_IMAGES, KEY_COUNT_NAMES, KEY_COUNTERS };
extern const struct meta_counter key_counters[KEY_COUNTERS];

struct key key_order(const struct timestamp *created, const struct digest *manifest);
struct key key_order_prefix(void);
bool key_parse_order(struct bytes key, struct timestamp *ret_created, struct digest *ret_manifest);

struct key key_chain(const struct digest *chain, const struct digest *manifest);
struct key key_chain_prefix(const struct digest *chain); /* NULL: all */
bool key_parse_chain(struct bytes key, struct digest *ret_chain, struct digest *ret_manifest);

struct key key_edge(const struct digest *child, const struct edge_parent *parent);
struct key key_edge_prefix(const struct digest *child);
struct key key_edge_kind_prefix(const struct digest *child, enum edge_kind kind);
struct key key_edge_all(void);
bool key_parse_edge(struct bytes key, struct digest *ret_child, struct edge_parent *ret_parent);

struct key key_parent(const struct digest *config, const struct digest *parent);
struct key key_parent_prefix(const struct digest *config);
bool key_parse_parent(struct bytes key, struct digest *ret_config, struct digest *ret_parent);
struct key key_child(const struct digest *parent, const struct digest *config);
struct key key_child_prefix(const struct digest *parent); /* NULL: all */
bool key_parse_child(struct bytes key, struct digest *ret_parent, struct digest *ret_config);

struct key key_pin(const struct digest *config);

struct key key_guard(const struct digest *manifest);
struct key key_guard_prefix(void);

struct key key_lease(const struct lease_id *id);
struct key key_lease_prefix(void);
bool key_parse_lease(struct bytes key, struct lease_id *ret_id);
struct key key_held(const struct lease_id *id, const struct digest *blob);
struct key key_held_prefix(const struct lease_id *id); /* NULL: all */
bool key_parse_held(struct bytes key, struct lease_id *ret_id, struct digest *ret_blob);

struct key key_event(uint64_t revision);
struct key key_event_prefix(void);
bool key_parse_event(struct bytes key, uint64_t *ret_revision);

struct key key_setting(const char *name);

struct key key_layer(const struct digest *blob);
struct key key_layer_prefix(void);
bool key_parse_layer(struct bytes key, struct digest *ret_blob);
struct key key_diff(const struct digest *diff_id, const struct digest *blob);
struct key key_diff_prefix(const struct digest *diff_id); /* NULL: all */
bool key_parse_diff(struct bytes key, struct digest *ret_diff_id, struct digest *ret_blob);
struct key key_layer_image(const struct digest *diff_id, uint32_t version);
struct key key_layer_image_prefix(const struct digest *diff_id); /* NULL: all */
bool key_parse_layer_image(struct bytes key, struct digest *ret_diff_id, uint32_t *ret_version);
struct key key_mount(const struct mount_id *id);
struct key key_mount_prefix(void);
bool key_parse_mount(struct bytes key, struct mount_id *ret_id);
struct key key_context(const struct digest *id);
struct key key_context_prefix(void);
bool key_parse_context(struct bytes key, struct digest *ret_id);
struct key key_step(const struct digest *first);
struct key key_step_prefix(void);
bool key_parse_step(struct bytes key, struct digest *ret_first);
struct key key_step_alias(const struct digest *key);
struct key key_step_alias_prefix(void);
bool key_parse_step_alias(struct bytes key, struct digest *ret_key);
struct key key_note(const struct digest *key);
struct key key_note_prefix(void);
bool key_parse_note(struct bytes key, struct digest *ret_key);
struct key key_cache_mount(const struct digest *key);
struct key key_cache_mount_prefix(void);
bool key_parse_cache_mount(struct bytes key, struct digest *ret_key);
struct key key_build(const char *id); /* at most BUILD_KEY_TEXT_MAX - 1 bytes; "" or the beginning: all that begin so */
bool key_parse_build(struct bytes key, char ret_id[BUILD_KEY_TEXT_MAX]);
struct key key_use(const struct digest *manifest);
struct key key_use_prefix(void);
bool key_parse_use(struct bytes key, struct digest *ret_manifest);

#endif
