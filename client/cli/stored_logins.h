/*
 * The user's logins for the registries that the images of the store came from, for a call
 * that may have to ask any of them.
 */
#ifndef CLIENT_CLI_STORED_LOGINS_H
#define CLIENT_CLI_STORED_LOGINS_H

#include "client/cli/credentials.h"

enum { STORED_LOGINS_MAX = 64 };

struct stored_logins {
	char *domains[STORED_LOGINS_MAX];
	struct credentials logins[STORED_LOGINS_MAX];
	size_t n_domains;
	Imaged__V1__Credentials *messages[STORED_LOGINS_MAX]; /* of those that have one */
	size_t n;
};

/* Registries past the limit are left out: their content is asked for without. */
int stored_logins_load(struct cli *cli, struct stored_logins *l, struct err *err);
void stored_logins_wipe(struct stored_logins *l); /* also the cleanup function */

#endif
