/*
 * A layer as a tree in memory, with the rules of writer.h told once more: what an image of
 * a tar must hold, worked out beside the code that makes it. And the tar itself, entry by
 * entry.
 *
 * The names are few, 'a' to 'c' on three levels, so that entries meet: files in the place of
 * directories, links to what is gone, whiteouts before and after. No entry goes through a
 * symbolic link, and none is refused.
 */
#ifndef TESTS_FUZZ_LAYER_MODEL_H
#define TESTS_FUZZ_LAYER_MODEL_H

#include "proto/runtime/buf.h"
#include "service/layer/erofs/writer.h"

enum {
	MODEL_CHILDREN = 3,
	MODEL_PARENTS = 13, /* the root, 3 and 9 */
	MODEL_NODES = 40,   /* node i has the children 3 i + 1 to 3 i + 3 */
	MODEL_OBJECTS = 256,
	MODEL_PATH_MAX = 16,
};

enum model_state { MODEL_ABSENT, MODEL_WHITEOUT, MODEL_HERE };

/* What an inode is of. */
struct model_object {
	uint16_t mode; /* with the type */
	uint32_t uid, gid, device;
	int64_t mtime;
	uint32_t mtime_ns;
	uint64_t size, hole; /* a file's; so many bytes at its begin are a hole */
	uint8_t seed;	     /* of its bytes */
	uint16_t xattr_len;  /* of user.v; 0: none */
	bool is_implied;     /* a directory without an entry */
};

struct model_node {
	enum model_state state;
	bool is_opaque;
	unsigned object;
};

struct model {
	struct model_node nodes[MODEL_NODES];
	struct model_object objects[MODEL_OBJECTS];
	unsigned n_objects;
	bool has_time;
	int64_t time; /* of the first entry */
	uint32_t time_ns;
};

/* What one entry is made of: bytes of the fuzzer. */
struct model_order {
	uint8_t kind, node, attributes, other;
	uint16_t size;
};

/* All of it: an entry is made of 6 bytes (struct model_order), of at most 200 of them. */
void model_build(struct model *m, const uint8_t *data, size_t size, struct buf *tar);
/* The image of such a tar. */
int model_convert(struct bytes tar, int fd, struct erofs_result *ret_result);

void model_init(struct model *m);
/* Does what the entry does, and appends it to the tar; nothing where it makes no sense. */
void model_apply(struct model *m, const struct model_order *order, struct buf *tar);
/* Appends the end of the archive. */
void model_end(struct buf *tar);

unsigned model_links(const struct model *m, unsigned object);
/* Byte `at` of a file's or a target's content. */
uint8_t model_byte(const struct model_object *o, uint64_t at);
uint8_t model_xattr_byte(const struct model_object *o, size_t at);

#endif
