#include "service/registry/content_range.h"

#include <strings.h>

static bool number(const char **s, int64_t *ret_value)
{
	size_t n = strspn(*s, "0123456789");

	if (!n || n > 18)
		return false;
	*ret_value = strtoll(*s, NULL, 10);
	*s += n;
	return true;
}

static bool character(const char **s, char c)
{
	if (**s != c)
		return false;
	(*s)++;
	return true;
}

bool content_range_parse(const char *value, struct content_range *ret_range)
{
	struct content_range r = { .total = -1 };

	if (!value || strncasecmp(value, "bytes ", 6) != 0)
		return false;
	value += 6;
	if (!number(&value, &r.first) || !character(&value, '-') || !number(&value, &r.last) || !character(&value, '/'))
		return false;
	if (!character(&value, '*') && !number(&value, &r.total))
		return false;
	if (*value || r.first > r.last || (r.total >= 0 && r.last >= r.total))
		return false;
	*ret_range = r;
	return true;
}

bool content_range_continues(const char *value, int64_t offset, int64_t size)
{
	struct content_range r;

	return content_range_parse(value, &r) && r.first == offset && r.last < size && (r.total < 0 || r.total == size);
}
