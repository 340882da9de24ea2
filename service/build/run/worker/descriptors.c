#include "service/build/run/worker/descriptors.h"

#include <sys/resource.h>

static struct rlimit before;

void descriptors_raise(void)
{
	struct rlimit raised;

	if (getrlimit(RLIMIT_NOFILE, &before))
		return;
	raised = (struct rlimit){ before.rlim_max, before.rlim_max };
	setrlimit(RLIMIT_NOFILE, &raised);
}

void descriptors_restore(void)
{
	if (before.rlim_max)
		setrlimit(RLIMIT_NOFILE, &before);
}
