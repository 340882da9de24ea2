/*
 * `search --filter KEY=VALUE`, as fields of a SearchRequest (docker-cli.md 2). Errors
 * have the words of docker's engine, and are shown as its own.
 */
#ifndef CLIENT_CLI_SEARCH_FILTER_H
#define CLIENT_CLI_SEARCH_FILTER_H

#include "client/cli/flags.h"
#include "imaged/v1/transfer.pb-c.h"

/* E_INVALID_FILTER. *ret_automated: the filter that docker calls deprecated is used. */
int search_filter_parse(const struct strings *filters, Imaged__V1__SearchRequest *request, bool *ret_automated,
			struct err *err);

#endif
