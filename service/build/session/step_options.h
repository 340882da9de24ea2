/*
 * What the client says about all steps of its build, as solve() takes it. Inside of this
 * folder.
 */
#ifndef SERVICE_BUILD_SESSION_STEP_OPTIONS_H
#define SERVICE_BUILD_SESSION_STEP_OPTIONS_H

#include "service/build/session/session.h"
#include "service/build/solve/solve.h"

struct step_options {
	struct solve_secret *secrets; /* as many as the client has sent */
	struct run_limits limits;
	const char *const *extra_hosts;
	const char *const *no_cache_stages;
	bool allow_host_network, allow_insecure;
};

/* In the session's arena. E_INVALID; E_DENIED: the service allows no such entitlement. */
int step_options_make(struct session *s, struct step_options *ret_options, struct err *err);

#endif
