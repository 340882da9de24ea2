/*
 * Tables with elastic tab stops, as Go's text/tabwriter makes them with the
 * settings that docker uses: cells at least 10 wide, 3 blanks between, left
 * aligned. A tab ends a cell; a column spans the neighbouring lines that have the
 * cell; the last cell of a line is never padded.
 */
#ifndef CLIENT_CLI_FORMAT_TABLE_H
#define CLIENT_CLI_FORMAT_TABLE_H

#include "client/cli/value/value.h"

/* More columns than this in one line run together. */
enum { TABLE_COLUMNS_MAX = 200 };

/* The text with its tabs turned into blanks, appended to out. E_NO_MEMORY. */
int table_render(struct text in, bool east_asian, struct buf *out, struct err *err);

#endif
