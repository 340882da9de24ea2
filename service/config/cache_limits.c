#include "service/config/cache_limits.h"

#include "service/build/duration.h"
#include "service/build/number.h"

enum { DAYS_DEFAULT = 14, DAYS_MAX = 36500, SHARE_OF_DISK = 10 };

static const int64_t day_ns = INT64_C(24) * 3600 * 1000000000;

static int parse_max(const char *text, int64_t *ret_bytes, struct err *err)
{
	*ret_bytes = -1;
	if (!strcmp(text, "none"))
		return OK;
	if (!size_parse(text, ret_bytes) || *ret_bytes <= 0)
		return fail(err, E_INVALID, "build-cache-max must be a size as \"20GB\", or \"none\", not '%s'", text);
	return OK;
}

/* Days, which durations do not know. */
static bool parse_days(const char *text, int64_t *ret_ns)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long days;

	if (!digits || strcmp(text + digits, "d") != 0)
		return false;
	errno = 0;
	days = strtoul(text, NULL, 10);
	if (errno || days > DAYS_MAX)
		return false;
	*ret_ns = (int64_t)days * day_ns;
	return true;
}

static int parse_unused(const char *text, int64_t *ret_ns, struct err *err)
{
	*ret_ns = -1;
	if (!strcmp(text, "none"))
		return OK;
	if ((!parse_days(text, ret_ns) && duration_parse(text, ret_ns, NULL) != OK) || *ret_ns <= 0)
		return fail(err, E_INVALID,
			    "build-cache-unused must be a time as \"14d\" or \"36h\", or \"none\", not '%s'", text);
	return OK;
}

int cache_limits_parse(const char *max, const char *unused, struct cache_limits *ret_limits, struct err *err)
{
	struct cache_limits limits = { .max_bytes = 0, .unused_ns = DAYS_DEFAULT * day_ns };

	if ((max && parse_max(max, &limits.max_bytes, err) < 0) ||
	    (unused && parse_unused(unused, &limits.unused_ns, err) < 0))
		return err ? err->code : E_INVALID;
	*ret_limits = limits;
	return OK;
}

int64_t cache_limits_bytes(const struct cache_limits *l, int64_t disk_bytes)
{
	int64_t share = disk_bytes / SHARE_OF_DISK;

	if (l->max_bytes)
		return l->max_bytes;
	return share < CACHE_BYTES_LEAST ? CACHE_BYTES_LEAST : share;
}
