#include "client/cli/format/gotime.h"

#include <ctype.h>
#include <inttypes.h>
#include <time.h>

static bool broken_down(int64_t seconds, bool utc, struct tm *ret_tm)
{
	time_t t = (time_t)seconds;

	return utc ? gmtime_r(&t, ret_tm) != NULL : localtime_r(&t, ret_tm) != NULL;
}

static bool put_fraction(struct buf *out, int32_t nanos)
{
	char digits[16];
	size_t len;

	if (!nanos)
		return true;
	snprintf(digits, sizeof digits, ".%09" PRId32, nanos);
	for (len = strlen(digits); digits[len - 1] == '0'; len--)
		;
	return buf_append(out, digits, len);
}

static bool put_date(struct buf *out, const struct tm *tm, char separator)
{
	return buf_printf(out, "%04d-%02d-%02d%c%02d:%02d:%02d", tm->tm_year + 1900, tm->tm_mon + 1, tm->tm_mday,
			  separator, tm->tm_hour, tm->tm_min, tm->tm_sec);
}

bool time_text_go(struct buf *out, int64_t seconds, int32_t nanos, bool utc)
{
	struct tm tm;
	long offset;

	if (!broken_down(seconds, utc, &tm))
		return false;
	offset = tm.tm_gmtoff < 0 ? -tm.tm_gmtoff : tm.tm_gmtoff;
	put_date(out, &tm, ' ');
	put_fraction(out, nanos);
	buf_printf(out, " %c%02ld%02ld", tm.tm_gmtoff < 0 ? '-' : '+', offset / 3600, offset / 60 % 60);
	return buf_printf(out, " %s", utc || !strcmp(tm.tm_zone, "GMT") ? "UTC" : tm.tm_zone);
}

bool time_text_local(struct buf *out, int64_t seconds)
{
	struct tm tm;
	long offset;

	if (!broken_down(seconds, false, &tm))
		return false;
	offset = tm.tm_gmtoff < 0 ? -tm.tm_gmtoff : tm.tm_gmtoff;
	put_date(out, &tm, 'T');
	if (!offset)
		return buf_putc(out, 'Z');
	return buf_printf(out, "%c%02ld:%02ld", tm.tm_gmtoff < 0 ? '-' : '+', offset / 3600, offset / 60 % 60);
}

bool time_text_utc(struct buf *out, int64_t seconds, int32_t nanos)
{
	struct tm tm;

	if (!broken_down(seconds, true, &tm))
		return false;
	put_date(out, &tm, 'T');
	put_fraction(out, nanos);
	return buf_putc(out, 'Z');
}

/* "1.5" and a unit: value / 10^digits without trailing zeros. */
static bool put_decimal(struct buf *out, uint64_t value, int digits, const char *unit)
{
	uint64_t scale = 1;
	char text[48];
	int len;

	for (int i = 0; i < digits; i++)
		scale *= 10;
	len = snprintf(text, sizeof text, "%" PRIu64, value / scale);
	if (value % scale) {
		len += snprintf(text + len, sizeof text - (size_t)len, ".%0*" PRIu64, digits, value % scale);
		while (text[len - 1] == '0')
			len--;
	}
	return buf_append(out, text, (size_t)len) && buf_puts(out, unit);
}

bool duration_text(struct buf *out, int64_t nanos)
{
	uint64_t d = nanos < 0 ? -(uint64_t)nanos : (uint64_t)nanos;
	uint64_t minutes = d / 60000000000;

	if (!d)
		return buf_puts(out, "0s");
	if (nanos < 0)
		buf_putc(out, '-');
	if (d < 1000)
		return put_decimal(out, d, 0, "ns");
	if (d < 1000000)
		return put_decimal(out, d, 3, "µs");
	if (d < 1000000000)
		return put_decimal(out, d, 6, "ms");
	if (minutes >= 60)
		buf_printf(out, "%" PRIu64 "h", minutes / 60);
	if (minutes)
		buf_printf(out, "%" PRIu64 "m", minutes % 60);
	return put_decimal(out, d % 60000000000, 9, "s");
}

/* ---- reading -------------------------------------------------------------- */

struct unit {
	const char *name;
	double nanos;
};

static const struct unit units[] = {
	{ "ns", 1 },   { "us", 1e3 }, { "µs", 1e3 }, { "μs", 1e3 },
	{ "ms", 1e6 }, { "s", 1e9 },  { "m", 6e10 }, { "h", 3.6e12 },
};

static const struct unit *unit_of(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (strlen(units[i].name) == len && !memcmp(units[i].name, name, len))
			return &units[i];
	return NULL;
}

/* "1.5h" at *p; the sum stays below 2^63. */
static bool duration_part(const char **p, double *total)
{
	size_t digits = strspn(*p, "0123456789"), fraction = 0, name;
	const char *end = *p + digits;
	const struct unit *unit;
	double number;

	if (*end == '.') {
		fraction = strspn(end + 1, "0123456789");
		end += 1 + fraction;
	}
	if (!digits && !fraction)
		return false;
	number = strtod(*p, NULL);
	name = strcspn(end, "0123456789.");
	unit = unit_of(end, name);
	if (!unit)
		return false;
	*total += number * unit->nanos;
	*p = end + name;
	return *total < 9.2e18;
}

bool duration_parse(const char *text, int64_t *ret_nanos)
{
	bool negative = *text == '-';
	double total = 0;

	if (*text == '-' || *text == '+')
		text++;
	if (!strcmp(text, "0")) {
		*ret_nanos = 0;
		return true;
	}
	if (!*text)
		return false;
	while (*text)
		if (!duration_part(&text, &total))
			return false;
	*ret_nanos = (int64_t)(negative ? -total : total);
	return true;
}

/* `n` digits at *p. */
static bool take_digits(const char **p, int n, int *ret_value)
{
	int value = 0;

	for (int i = 0; i < n; i++, (*p)++) {
		if (!isdigit((unsigned char)**p))
			return false;
		value = value * 10 + (**p - '0');
	}
	*ret_value = value;
	return true;
}

static bool take_char(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

static bool take_fraction(const char **p, int32_t *ret_nanos)
{
	int32_t nanos = 0, scale = 100000000;

	if (!isdigit((unsigned char)**p))
		return false;
	for (; isdigit((unsigned char)**p); (*p)++, scale /= 10)
		nanos += (**p - '0') * scale;
	*ret_nanos = nanos;
	return true;
}

/* hh[:mm[:ss[.fraction]]] */
static bool take_clock(const char **p, struct tm *tm, int32_t *nanos)
{
	if (!take_digits(p, 2, &tm->tm_hour))
		return false;
	if (!take_char(p, ':'))
		return true;
	if (!take_digits(p, 2, &tm->tm_min))
		return false;
	if (!take_char(p, ':'))
		return true;
	if (!take_digits(p, 2, &tm->tm_sec))
		return false;
	return !take_char(p, '.') || take_fraction(p, nanos);
}

static bool take_zone(const char **p, bool *ret_zoned, int *ret_offset)
{
	int sign = **p == '-' ? -1 : 1, hours, minutes;

	*ret_zoned = true;
	*ret_offset = 0;
	if (take_char(p, 'Z'))
		return true;
	if (**p != '+' && **p != '-') {
		*ret_zoned = false;
		return true;
	}
	(*p)++;
	if (!take_digits(p, 2, &hours) || !take_char(p, ':') || !take_digits(p, 2, &minutes))
		return false;
	*ret_offset = sign * (hours * 3600 + minutes * 60);
	return true;
}

static bool in_range(const struct tm *tm)
{
	static const int days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return tm->tm_mon >= 0 && tm->tm_mon < 12 && tm->tm_mday >= 1 && tm->tm_mday <= days[tm->tm_mon] &&
	       tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 60;
}

/* A date, with a time and a zone or without: local time then. */
static bool parse_date(const char *p, int64_t *ret_seconds, int32_t *ret_nanos)
{
	struct tm tm = { .tm_isdst = -1 };
	int32_t nanos = 0;
	bool zoned;
	int offset;

	if (!take_digits(&p, 4, &tm.tm_year) || !take_char(&p, '-') || !take_digits(&p, 2, &tm.tm_mon) ||
	    !take_char(&p, '-') || !take_digits(&p, 2, &tm.tm_mday))
		return false;
	if (take_char(&p, 'T') && !take_clock(&p, &tm, &nanos))
		return false;
	if (!take_zone(&p, &zoned, &offset) || *p)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	if (!in_range(&tm))
		return false;
	*ret_seconds = zoned ? (int64_t)timegm(&tm) - offset : (int64_t)mktime(&tm);
	*ret_nanos = nanos;
	return true;
}

/* Seconds since 1970, with a fraction or without. */
static bool parse_unix(const char *p, int64_t *ret_seconds, int32_t *ret_nanos)
{
	char *end;
	int32_t nanos = 0;
	long long seconds;

	if (!isdigit((unsigned char)p[*p == '-']))
		return false;
	errno = 0;
	seconds = strtoll(p, &end, 10);
	if (errno)
		return false;
	p = end;
	if (take_char(&p, '.') && !take_fraction(&p, &nanos))
		return false;
	if (*p)
		return false;
	*ret_seconds = seconds;
	*ret_nanos = nanos;
	return true;
}

int time_parse_filter(const char *text, int64_t now_ns, int64_t *ret_seconds, int32_t *ret_nanos, struct err *err)
{
	int64_t nanos, when;

	if (strlen(text) > 9 && parse_date(text, ret_seconds, ret_nanos))
		return OK;
	if (duration_parse(text, &nanos) && strcmp(text, "0") != 0) {
		when = now_ns - nanos;
		*ret_seconds = when / 1000000000 - (when % 1000000000 < 0);
		*ret_nanos = (int32_t)(when - *ret_seconds * 1000000000);
		return OK;
	}
	if (parse_unix(text, ret_seconds, ret_nanos))
		return OK;
	return fail(err, E_INVALID, "failed to parse value as time or duration: \"%s\"", text);
}
