/*
 * Who is asked for the images of a registry, in which order, and how: what hosts-dir
 * says (hosts_dir.h), else the daemon's mirrors and lists. Made anew for each
 * repository that is opened, so that a changed file counts at once; nothing is sent.
 */
#ifndef SERVICE_REGISTRY_HOST_PLAN_H
#define SERVICE_REGISTRY_HOST_PLAN_H

#include "service/registry/hosts_dir.h"

/* registry-mirror: URL, for Docker Hub, or HOST=URL. */
struct host_mirror {
	char host[HOST_AUTHORITY_MAX]; /* as asked: "registry-1.docker.io" */
	struct host_config config;
};

struct host_policy {
	const char *hosts_dir; /* NULL: none */
	struct host_mirror *mirrors;
	size_t n_mirrors;
};

/* E_INVALID names what is no mirror. The text of hosts_dir is borrowed. */
int host_policy_init(struct host_policy *p, const char *hosts_dir, const char *const *mirrors, size_t n_mirrors,
		     struct err *err);
void host_policy_free(struct host_policy *p);

struct host_plan {
	struct host_list list;		    /* the registry itself last */
	char authority[HOST_AUTHORITY_MAX]; /* the registry's own, when nobody says otherwise */
	char namespace[HOST_AUTHORITY_MAX]; /* what mirrors are told: "docker.io" */
	char *file;			    /* that says so; NULL: none */
};

void host_plan_free(struct host_plan *p); /* also the cleanup function */

/* `domain` as in references, or a server address as users give it. E_INVALID_REFERENCE
 * when it is no host, E_BAD_CONTENT for the files. */
int host_plan_make(const struct host_policy *policy, const char *domain, struct host_plan *ret_plan, struct err *err);

/* Whether this host of the plan is told the registry by "?ns=". */
static inline bool host_plan_is_mirror(const struct host_plan *p, size_t i)
{
	return strcmp(p->list.hosts[i].authority, p->authority) != 0;
}

#endif
