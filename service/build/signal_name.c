#include "service/build/signal_name.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proto/runtime/mem.h"

static const char *const names[] = {
	"ABRT", "ALRM", "BUS",	"CHLD", "CLD",	"CONT", "FPE",	  "HUP",    "ILL",  "INT",  "IO",    "IOT",
	"KILL", "PIPE", "POLL", "PROF", "PWR",	"QUIT", "SEGV",	  "STKFLT", "STOP", "SYS",  "TERM",  "TRAP",
	"TSTP", "TTIN", "TTOU", "URG",	"USR1", "USR2", "VTALRM", "WINCH",  "XCPU", "XFSZ", "RTMIN", "RTMAX",
};

/* "+3" behind RTMIN, "-3" behind RTMAX, without leading zeros. */
static bool is_offset(const char *text, char sign, int max)
{
	char *end;
	long n;

	if (*text != sign || text[1] < '1' || text[1] > '9')
		return false;
	n = strtol(text + 1, &end, 10);
	return !*end && n <= max;
}

static bool is_name(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcasecmp(text, names[i]))
			return true;
	if (!strncasecmp(text, "RTMIN", 5))
		return is_offset(text + 5, '+', 15);
	return !strncasecmp(text, "RTMAX", 5) && is_offset(text + 5, '-', 14);
}

/* Any number but 0: what it means is known where the container runs. */
static bool is_number(const char *text)
{
	char *end;
	long n;

	if (!strchr("+-0123456789", *text) || !*text)
		return false;
	errno = 0;
	n = strtol(text, &end, 10);
	return !errno && end > text && !*end && n && n >= INT_MIN && n <= INT_MAX;
}

int signal_name_check(const char *text, struct err *err)
{
	if (is_number(text) || is_name(text + (strncasecmp(text, "SIG", 3) ? 0 : 3)))
		return OK;
	return fail(err, E_INVALID, "invalid signal: %.64s", text);
}
