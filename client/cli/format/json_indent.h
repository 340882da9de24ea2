/*
 * JSON text with other white space, as Go's json.Indent does it: keys, numbers and
 * strings stay as they are written. The text must be JSON; other text gives some text.
 */
#ifndef CLIENT_CLI_FORMAT_JSON_INDENT_H
#define CLIENT_CLI_FORMAT_JSON_INDENT_H

#include "proto/runtime/buf.h"

/* Appends; no newline at the end. */
void json_indent(struct buf *out, struct bytes text, const char *indent);
/* Appends it without white space, as Go's json.Marshal what is JSON already: '<', '>' and
 * '&', which only strings can hold, are escaped, and so are U+2028 and U+2029. */
void json_compact(struct buf *out, struct bytes text);

#endif
