/* Rows of `search`. */
#ifndef CLIENT_CLI_COMMANDS_SEARCH_H
#define CLIENT_CLI_COMMANDS_SEARCH_H

#include "client/cli/format/rows.h"
#include "imaged/v1/transfer.pb-c.h"

struct search_view {
	const char *format; /* NULL: the default */
	bool no_trunc;
};

int search_render(const struct search_view *view, Imaged__V1__SearchResult *const *results, size_t n, struct buf *out,
		  struct err *err);

#endif
