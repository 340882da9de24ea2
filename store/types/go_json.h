/*
 * JSON as Go's encoding/json writes it (before Go 1.22), for documents of docker's whose
 * bytes make an ID: compact, members in the order they were set, '<', '>', '&', U+2028 and
 * U+2029 escaped, control characters as \u00xx.
 *
 * Private to store/types.
 */
#ifndef STORE_TYPES_GO_JSON_H
#define STORE_TYPES_GO_JSON_H

#include <jansson.h>

#include "proto/runtime/buf.h"

/* Appends an object or an array. E_LIMIT past the buffer's maximum; E_NO_MEMORY. */
int go_json_put(const json_t *value, struct buf *out, struct err *err);

/* The same of an object whose members are sorted by their keys, as Go writes a map: not
 * those of its members. */
int go_json_put_sorted(const json_t *object, struct buf *out, struct err *err);

#endif
