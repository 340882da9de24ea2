/*
 * libimaged-client: every operation of imaged as a C function.
 *
 *   cc program.c $(pkg-config --cflags --libs imaged-client)
 *
 * Each RPC of imaged.v1.ImageService has its functions in
 * <imaged/v1/image_service.h>, which is generated from the .proto files, with their
 * comments. Of an RPC named GetHistory, which answers once:
 *
 *   imaged_get_history()        makes the call and gives the response; NULL for
 *                               ret_response if nobody wants it
 *   imaged_get_history_free()   frees the response
 *
 * Of an RPC named Pull, which streams:
 *
 *   imaged_pull_open()          starts the call
 *   imaged_pull_next()          1 and a message that lives until the next one, 0 when
 *                               the server has ended the stream well, negative with
 *                               the status when it has not
 *   imaged_pull_cancel()        makes the server stop; next() then fails
 *   imaged_pull_free()          frees the stream; cancels it if it still runs
 *
 * and where the client streams, too:
 *
 *   imaged_load_send()          waits until the message is on its way; fails with
 *                               ABORTED when the server has ended the call, of which
 *                               next() tells why
 *   imaged_load_close_send()    nothing more to send
 *
 * The messages are structs of protobuf-c: set them up with their INIT macro, and
 * assign strings that you keep until the call returns. Channels, errors and the rules
 * of ownership and threads are in <imaged/channel.h>.
 */
#ifndef IMAGED_CLIENT_H
#define IMAGED_CLIENT_H

#include "imaged/channel.h"
#include "imaged/v1/image_service.h"

#endif
