/* Rows of `system transfers`. */
#ifndef CLIENT_CLI_COMMANDS_TRANSFERS_H
#define CLIENT_CLI_COMMANDS_TRANSFERS_H

#include "imaged/v1/transfer.pb-c.h"
#include "proto/runtime/buf.h"

struct transfers_view {
	const char *format; /* NULL: the default */
	bool no_trunc;
	int64_t now_ns;
};

int transfers_render(const struct transfers_view *view, const Imaged__V1__WatchTransfersResponse *m, struct buf *out,
		     struct err *err);

#endif
