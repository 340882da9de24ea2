#include "service/registry/rate_limit.h"

#include <strings.h>

static bool number(const char **s, int64_t *ret_value)
{
	size_t n = strspn(*s, "0123456789");

	if (!n || n > 15)
		return false;
	*ret_value = strtoll(*s, NULL, 10);
	*s += n;
	return true;
}

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " \t");
}

/* "100;w=21600", alone or first of a list; other parameters mean nothing to us. */
static bool parse_item(const char *s, int64_t *ret_value, int64_t *ret_window)
{
	int64_t value, window = 0;

	if (!s)
		return false;
	s = skip_blanks(s);
	if (!number(&s, &value))
		return false;
	for (s = skip_blanks(s); *s == ';'; s = skip_blanks(s)) {
		s = skip_blanks(s + 1);
		if (strncasecmp(s, "w=", 2) != 0) {
			s += strcspn(s, ";,");
			continue;
		}
		s += 2;
		if (!number(&s, &window))
			return false;
	}
	if (*s && *s != ',')
		return false;
	*ret_value = value;
	if (window)
		*ret_window = window;
	return true;
}

static void copy_source(const char *from, char out[RATE_SOURCE_MAX])
{
	size_t n = 0;

	for (; from && *from && n < RATE_SOURCE_MAX - 1; from++)
		if (*from >= ' ' && *from < 0x7f)
			out[n++] = *from;
	out[n] = 0;
}

bool rate_limit_parse(const char *limit, const char *remaining, const char *source, struct rate_limit *ret_rate)
{
	struct rate_limit r = { .known = false };

	if (!parse_item(remaining, &r.remaining, &r.window_s))
		return false;
	r.known = true;
	if (!parse_item(limit, &r.limit, &r.window_s))
		r.limit = 0;
	copy_source(source, r.source);
	*ret_rate = r;
	return true;
}

bool rate_limit_is_low(const struct rate_limit *r)
{
	return r->known && (r->limit ? r->remaining <= r->limit / 10 : !r->remaining);
}
