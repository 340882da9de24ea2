/*
 * Text of others on its way to a terminal: nothing in it is a command to that.
 *
 * Pure; into a buffer, which tells failure.
 */
#ifndef CLIENT_CLI_FORMAT_PLAIN_TEXT_H
#define CLIENT_CLI_FORMAT_PLAIN_TEXT_H

#include "proto/runtime/buf.h"

/* Each control character is a '?', but for newlines and tabs. */
void put_plain(struct buf *out, const char *text);

/* What a program wrote. Its colours and the ways to write over its own line stay; other control
 * characters and sequences go. */
void put_plain_log(struct buf *out, const char *text, size_t len);

#endif
