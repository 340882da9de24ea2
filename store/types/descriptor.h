/*
 * Content descriptors (OCI image-spec, descriptor.md) as parts of a document.
 * Private to store/types.
 */
#ifndef STORE_TYPES_DESCRIPTOR_H
#define STORE_TYPES_DESCRIPTOR_H

#include "store/types/json.h"
#include "store/types/manifest.h"

enum { ANNOTATIONS_MAX = 4096 };

/* A media type by RFC 6838: type "/" subtype, perhaps with parameters. "" where
 * the node is absent. */
int media_type_read(const struct jnode *n, const char **ret_text, struct err *err);

/* Strings to strings; absent is fine. */
int annotations_check(const struct jnode *n, struct err *err);

/* The caller frees *ret with descriptor_free(). Docker's own pushes left the
 * media type of the configuration out: `type_optional` allows it. */
int descriptor_read(const struct jnode *n, bool type_optional, struct descriptor *ret_descriptor, struct err *err);
void descriptor_free(struct descriptor *d);

/* An array of descriptors. */
int descriptors_read(const struct jnode *n, size_t max, struct descriptor **ret_items, size_t *ret_count,
		     struct err *err);
void descriptors_free(struct descriptor *items, size_t count);

/* `text` for a message: printable ASCII, the rest as '?', cut to fit. */
char *printable_text(const char *text, char *out, size_t size);

#endif
