#include "client/cli/file_error.h"

#include <ctype.h>
#include <string.h>

int fail_file(struct err *err, const char *verb, const char *path)
{
	const char *why = strerrordesc_np(errno);

	if (!why)
		why = "unknown error";
	return fail(err, E_IO, "%s %s: %c%s", verb, path, tolower((unsigned char)*why), why + 1);
}
