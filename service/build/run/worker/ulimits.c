#include "service/build/run/worker/ulimits.h"

#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include "proto/runtime/mem.h"

static const struct {
	const char *name;
	enum __rlimit_resource number;
} known[] = {
	{ "RLIMIT_AS", RLIMIT_AS },
	{ "RLIMIT_CORE", RLIMIT_CORE },
	{ "RLIMIT_CPU", RLIMIT_CPU },
	{ "RLIMIT_DATA", RLIMIT_DATA },
	{ "RLIMIT_FSIZE", RLIMIT_FSIZE },
	{ "RLIMIT_LOCKS", RLIMIT_LOCKS },
	{ "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
	{ "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
	{ "RLIMIT_NICE", RLIMIT_NICE },
	{ "RLIMIT_NOFILE", RLIMIT_NOFILE },
	{ "RLIMIT_NPROC", RLIMIT_NPROC },
	{ "RLIMIT_RSS", RLIMIT_RSS },
	{ "RLIMIT_RTPRIO", RLIMIT_RTPRIO },
	{ "RLIMIT_RTTIME", RLIMIT_RTTIME },
	{ "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
	{ "RLIMIT_STACK", RLIMIT_STACK },
};

static int check_one(const Imaged__Run__RunUlimit *u, struct err *err)
{
	struct rlimit own;

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strlen(known[i].name) != u->name.len || memcmp(known[i].name, u->name.data, u->name.len) != 0)
			continue;
		if (getrlimit(known[i].number, &own) < 0)
			return fail_errno(err, "read the limit %s", known[i].name);
		if (u->hard <= own.rlim_max)
			return OK;
		return fail(err, E_UNSUPPORTED,
			    "%s of %" PRIu64 " is more than the %" PRIu64
			    " that this daemon has, which only root can exceed",
			    known[i].name, u->hard, (uint64_t)own.rlim_max);
	}
	return OK;
}

int ulimits_check(const Imaged__Run__RunLimits *limits, struct err *err)
{
	int rc = OK;

	for (size_t i = 0; limits && rc == OK && i < limits->n_ulimits; i++)
		rc = check_one(limits->ulimits[i], err);
	return rc;
}
