/*
 * How a registry would be asked, said and not done: nothing is sent, no name looked up.
 */
#ifndef SERVICE_REGISTRY_EXPLAIN_H
#define SERVICE_REGISTRY_EXPLAIN_H

#include "service/registry/host_plan.h"
#include "service/registry/registry.h"

struct explained_host {
	const struct host_config *config; /* the plan's */
	char *url;			  /* with scheme and path: "https://registry-1.docker.io/v2" */
	bool mirror;
	bool skip_verify;
	const char *plain_http; /* http may be used: why; "" when not */
	bool credentials;	/* those of the call would be shown, if asked for */
	char *proxy;		/* without user and password; NULL: none */
	char *problem;		/* a file that cannot be used; NULL: none */
	bool resting;		/* it failed a moment ago, and is passed over while there are others */
};

struct explanation {
	struct host_plan plan;
	struct explained_host *hosts; /* as many as the plan has */
	size_t n_hosts;
};

void explanation_free(struct explanation *e); /* also the cleanup function */

/* `host` as for host_plan_make(); `credentials` may be NULL. */
int registry_explain(struct registry *r, const char *host, const struct credentials *credentials,
		     struct explanation *ret_explanation, struct err *err);

#endif
