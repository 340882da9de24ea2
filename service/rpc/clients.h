/*
 * What one client has in hand, and how much it may. A client is a user of a unix socket, a
 * certificate (its SPIFFE ID, else its subject), or an address without a certificate; all its
 * connections count together.
 *
 * A client is in the table while it has calls, so that the table is bounded by the calls that
 * the server takes. Everything from any thread.
 */
#ifndef SERVICE_RPC_CLIENTS_H
#define SERVICE_RPC_CLIENTS_H

#include "proto/runtime/mem.h"

struct client_limits {
	unsigned calls;	    /* open at once, streams included */
	unsigned transfers; /* of those, calls with the option `transfer` */
	/* Of messages that the service holds for the client: received ones until their handler is
	 * done with them, sent ones until flow control has taken them. */
	uint64_t bytes;
};

struct clients;
struct client;

int clients_new(const struct client_limits *limits, struct clients **ret_clients, struct err *err);
void clients_free(struct clients *all); /* when no call is left */

/* A call begins, until client_leave(). E_CLIENT_LIMIT says which limit it would pass. */
int clients_enter(struct clients *all, const char *key, bool transfer, struct client **ret_client, struct err *err);
void client_leave(struct client *client, bool transfer);

/* E_CLIENT_LIMIT: nothing is held. */
int client_hold(struct client *client, size_t bytes, struct err *err);
void client_release(struct client *client, size_t bytes);

/* The error of client_hold() once more. */
int client_refuse_bytes(const struct client *client, struct err *err);

#endif
