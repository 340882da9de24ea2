/*
 * JSON from outside, read strictly: the only door to jansson in store/types.
 *
 * jnode_open() refuses what differs between parsers or costs without bound:
 * duplicate keys, trailing data, NUL, text that is not UTF-8, nesting deeper than
 * 32 levels, more values than a real document has. A jnode is a value together
 * with the way to it, so that each error names the field:
 * "manifest: layers[3].digest: invalid checksum digest length". Keys are matched
 * exactly, unlike in Go.
 *
 * An absent member and a null are the same: a node whose value is NULL. Nodes
 * borrow from the root; close only the root (also by CLEANUP(jnode_close)). All
 * errors are E_BAD_CONTENT and no text of the document enters a message. Without
 * state. Private to store/types but for json_is_light().
 */
#ifndef STORE_TYPES_JSON_H
#define STORE_TYPES_JSON_H

#include <jansson.h>

#include "store/types/digest.h"

enum {
	JSON_DEPTH_MAX = 32,
	JSON_CONTAINERS_MAX = 64 * 1024, /* objects and arrays of a document */
	JSON_VALUES_MAX = 256 * 1024,	 /* values of a document, at most */
	JSON_TEXT_MAX = 1024 * 1024,	 /* a string without a limit of its own */
};

struct jnode {
	const struct jnode *parent; /* NULL at the root */
	const char *name;	    /* of a member, or of the document; NULL: an item */
	size_t index;
	json_t *value; /* NULL when absent or null */
};

/* Whether a parser gets through it with a small stack and little memory: nested and
 * counted as above. To be asked before json_loadb() by whoever reads JSON from
 * outside that is no document of ours; jnode_open() does by itself. */
bool json_is_light(struct bytes text);

/* The same and the reading, with jansson's flags. E_BAD_CONTENT, and ret_why (its text
 * is "" when the document was too heavy); E_NO_MEMORY. */
int json_read_light(struct bytes text, size_t flags, json_t **ret_value, json_error_t *ret_why, struct err *err);

/* The root is an object; of the second one an array, of the third whatever the document is. */
int jnode_open(struct bytes text, const char *document, size_t max, struct jnode *ret_root, struct err *err);
int jnode_open_array(struct bytes text, const char *document, size_t max, struct jnode *ret_root, struct err *err);
int jnode_open_any(struct bytes text, const char *document, size_t max, struct jnode *ret_root, struct err *err);
void jnode_close(struct jnode *root);

struct jnode jnode_member(const struct jnode *object, const char *name);
struct jnode jnode_item(const struct jnode *array, size_t index);

static inline bool jnode_present(const struct jnode *n)
{
	return n->value != NULL;
}

/* "DOCUMENT: PATH: message" */
int jnode_fail(const struct jnode *at, int code, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

int jnode_require(const struct jnode *n, struct err *err);

/* These accept an absent value: an empty object, array or string, false. */
int jnode_object(const struct jnode *n, struct err *err);
int jnode_array(const struct jnode *n, size_t max, size_t *ret_count, struct err *err);
int jnode_map(const struct jnode *n, size_t max, size_t *ret_count, struct err *err);
int jnode_text(const struct jnode *n, size_t max, const char **ret_text, struct err *err); /* borrowed */
int jnode_string(const struct jnode *n, size_t max, char **ret_text, struct err *err);	   /* owned */
int jnode_member_string(const struct jnode *object, const char *name, char **ret_text, struct err *err);
int jnode_bool(const struct jnode *n, bool *ret_value, struct err *err);

/* These need a value. */
int jnode_integer(const struct jnode *n, int64_t min, int64_t max, int64_t *ret_value, struct err *err);
int jnode_digest(const struct jnode *n, struct digest *ret_digest, struct err *err);

#endif
