#include "client/cli/path.h"

#include "proto/runtime/mem.h"

char *absolute_path(const char *path)
{
	CLEANUP(freep) char *here = NULL;

	if (*path == '/')
		return strdup(path);
	here = getcwd(NULL, 0);
	return here ? format("%s/%s", here, path) : NULL;
}
