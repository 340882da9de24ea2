/*
 * JSON as Go's encoding/json writes it: fields of structs in their order and
 * under their JSON names, keys of maps sorted (they are), invalid UTF-8 replaced,
 * U+2028 and U+2029 escaped, '<', '>' and '&' escaped where asked.
 */
#ifndef CLIENT_CLI_VALUE_JSON_H
#define CLIENT_CLI_VALUE_JSON_H

#include "client/cli/value/value.h"

void json_put_string(struct buf *out, struct text t, bool escape_html);
/* Compact. E_TEMPLATE for what JSON cannot hold, with Go's words. */
int json_put(struct buf *out, struct value v, bool escape_html, struct err *err);
/* Every member on a line of its own; an empty list is "[]", an empty object
 * "{}". The first line is not indented, the others by `depth` times `indent`. */
int json_put_indented(struct buf *out, struct value v, const char *indent, unsigned depth, struct err *err);

#endif
