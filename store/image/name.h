/*
 * A name and its edges, which always change in one transaction.
 */
#ifndef STORE_IMAGE_NAME_H
#define STORE_IMAGE_NAME_H

#include "store/image/image.h"
#include "store/record.h"

struct name {
	char text[REFERENCE_TEXT_MAX]; /* canonical, a tag or a digest */
	uint64_t revision;	       /* 0: it does not exist, and the rest is unset */
	struct digest root, manifest, config;
	int64_t tagged_ns;
};

enum { NAME_PUT_OPS = 5, NAME_DELETE_OPS = 3 };

/* The text under which a reference is stored. E_INVALID_REFERENCE without tag and
 * digest. */
int name_text(const struct reference *ref, char out[REFERENCE_TEXT_MAX], struct err *err);

/* As it is now; OK also when it does not exist. */
int name_read(struct store *s, const char *text, struct name *ret_name, struct err *err);

/* Replaces `old` (with its revision compared) by `new`, whose text is the same. */
int name_put(struct meta_txn *t, const struct name *old, const struct name *new, int64_t now_ns, struct err *err);
void name_delete(struct meta_txn *t, const struct name *old);

/* In familiar form, as users see it. */
void name_familiar(const char *text, char out[REFERENCE_TEXT_MAX]);
bool name_has_tag(const char *text);
bool name_same_repository(const char *a, const char *b);

#endif
