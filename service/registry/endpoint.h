/*
 * The hosts that a repository is asked at: mirrors in their order, the registry
 * itself last.
 *
 * A request goes to the first that may be asked for it (enum host_capability). One
 * that fails is passed over: for a short while by everybody when it cannot be reached
 * or breaks off, so that its timeout is not paid for each layer; for good by this
 * repository when it sent bytes that are not what their digest says, or does not let
 * the caller in. The last
 * is asked whatever it did. A push goes to the first that takes one, and to no other.
 *
 * The credentials of a call are its registry's. A mirror gets them only when they
 * say that they are the mirror's.
 */
#ifndef SERVICE_REGISTRY_ENDPOINT_H
#define SERVICE_REGISTRY_ENDPOINT_H

#include <stdatomic.h>

#include "service/registry/auth.h"
#include "service/registry/host_plan.h"

struct endpoint {
	struct host *host;
	struct auth auth;
	unsigned capabilities; /* bits 1 << enum host_capability */
	bool is_mirror;	       /* it is told the registry by "?ns=" */
	atomic_bool refused;   /* of no use to this repository: it sent wrong bytes, or does not let us in */
};

struct repository;

/* Takes the hosts of the plan. `scope` as in auth_init(). */
int endpoints_open(struct repository *r, struct host_plan *plan, const char *scope,
		   const struct credentials *credentials, struct err *err);
void endpoints_close(struct repository *r);
/* auth_want() of each. */
int repository_want(struct repository *r, const char *scope, struct err *err);

/* The first that may be asked, or the next one after `after`; NULL: none. */
struct endpoint *endpoint_next(struct repository *r, enum host_capability capability, const struct endpoint *after);

/* It could not be reached, broke off, or cannot serve now. */
void endpoint_rest(struct repository *r, struct endpoint *e);

/* Whether credentials for `server_address` ("" or NULL: of the registry that is asked)
 * go to the host of a plan. */
bool endpoint_takes_credentials(const char *server_address, const char *authority, bool is_mirror);

#endif
