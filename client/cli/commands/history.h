/* Rows of `history`. */
#ifndef CLIENT_CLI_COMMANDS_HISTORY_H
#define CLIENT_CLI_COMMANDS_HISTORY_H

#include "client/cli/format/rows.h"
#include "imaged/v1/image.pb-c.h"

struct history_view {
	const char *format; /* NULL: the default */
	bool human, no_trunc, quiet;
	int64_t now_ns;
};

int history_render(const struct history_view *view, Imaged__V1__HistoryEntry *const *entries, size_t n, struct buf *out,
		   struct err *err);

#endif
