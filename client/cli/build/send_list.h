/*
 * A listing as the messages of a ContextList.
 */
#ifndef CLIENT_CLI_BUILD_SEND_LIST_H
#define CLIENT_CLI_BUILD_SEND_LIST_H

#include "client/cli/build/listing.h"
#include "imaged/v1/build.pb-c.h"

typedef int send_request(void *stream, const Imaged__V1__BuildRequest *request, struct err *err);

int send_list(const struct listing *l, const char *context, send_request *send, void *stream, struct err *err);

#endif
