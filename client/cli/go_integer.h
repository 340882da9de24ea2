/* Integers as Go's strconv.ParseInt reads them with base 0: 0x, 0o, 0b, a leading 0 for octal,
 * and single underscores between digits. */
#ifndef CLIENT_CLI_GO_INTEGER_H
#define CLIENT_CLI_GO_INTEGER_H

#include <stdint.h>

/* NULL, or what Go says is wrong: "invalid syntax", "value out of range". */
const char *go_integer(const char *text, int64_t *ret_number);

#endif
