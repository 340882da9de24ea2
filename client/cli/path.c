#include "client/cli/path.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "proto/runtime/mem.h"

char *absolute_path(const char *path)
{
	CLEANUP(freep) char *here = NULL;

	if (*path == '/')
		return strdup(path);
	here = getcwd(NULL, 0);
	return here ? format("%s/%s", here, path) : NULL;
}

int make_directories_for(const char *path, struct err *err)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof copy, "%s", path);
	for (char *p = copy + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			return fail_errno(err, "make directory '%s'", copy);
		*p = '/';
	}
	return OK;
}
