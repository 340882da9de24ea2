#include <stdio.h>

#include "store/types/image_config.h"

/* Days and seconds are counted in 64 bits, so no year is special (2038), and no
 * function of the C library is asked, whose answer would depend on the locale or
 * the zone. */

enum { NANO_DIGITS = 9, SECONDS_PER_DAY = 86400 };

static const int64_t first_second = -62135596800; /* 0001-01-01T00:00:00Z */
static const int64_t last_second = 253402300799;  /* 9999-12-31T23:59:59Z */

static bool is_leap(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in_month(int64_t year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days since 1970-01-01. Years are counted from March, so that the leap day ends
 * one; 400 years have 146097 days. */
static int64_t days_of(int64_t year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = y / 400, of_era = y % 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day)
{
	int64_t shifted = days + 719468;
	int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097, of_era = shifted - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * of_year + 2) / 153;

	*ret_day = (int)(of_year - (153 * month + 2) / 5 + 1);
	*ret_month = (int)(month < 10 ? month + 3 : month - 9);
	*ret_year = year + era * 400 + (*ret_month <= 2);
}

/* Exactly n digits; moves the cursor. */
static bool take_number(const char **p, int n, int min, int max, int *ret_value)
{
	int value = 0;

	for (; n > 0; n--, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		value = value * 10 + (**p - '0');
	}
	*ret_value = value;
	return value >= min && value <= max;
}

static bool take_char(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

/* [ "." digits ], as many as there are; what is finer than a nanosecond is cut. */
static bool take_fraction(const char **p, int32_t *ret_nanos)
{
	int32_t nanos = 0;
	int n = 0;

	*ret_nanos = 0;
	if (!take_char(p, '.'))
		return true;
	for (; **p >= '0' && **p <= '9'; (*p)++, n++)
		if (n < NANO_DIGITS)
			nanos = nanos * 10 + (**p - '0');
	if (!n)
		return false;
	for (; n < NANO_DIGITS; n++)
		nanos *= 10;
	*ret_nanos = nanos;
	return true;
}

/* "Z" or ±HH:MM, in seconds east of Greenwich. */
static bool take_zone(const char **p, int64_t *ret_offset)
{
	int hour, minute, sign = **p == '-' ? -1 : 1;

	*ret_offset = 0;
	if (take_char(p, 'Z'))
		return true;
	if (!take_char(p, '+') && !take_char(p, '-'))
		return false;
	if (!take_number(p, 2, 0, 23, &hour) || !take_char(p, ':') || !take_number(p, 2, 0, 59, &minute))
		return false;
	*ret_offset = sign * (hour * 3600 + minute * 60);
	return true;
}

static bool take_date(const char **p, int64_t *ret_days)
{
	int year, month, day;

	if (!take_number(p, 4, 1, 9999, &year) || !take_char(p, '-') || !take_number(p, 2, 1, 12, &month) ||
	    !take_char(p, '-') || !take_number(p, 2, 1, days_in_month(year, month), &day))
		return false;
	*ret_days = days_of(year, month, day);
	return true;
}

static bool take_clock(const char **p, int64_t *ret_seconds)
{
	int hour, minute, second;

	if (!take_number(p, 2, 0, 23, &hour) || !take_char(p, ':') || !take_number(p, 2, 0, 59, &minute) ||
	    !take_char(p, ':') || !take_number(p, 2, 0, 59, &second))
		return false;
	*ret_seconds = hour * 3600 + minute * 60 + second;
	return true;
}

int timestamp_parse_zoned(const char *text, struct timestamp *ret_time, int32_t *ret_zone, struct err *err)
{
	struct timestamp t = { .present = true };
	int64_t days, seconds, offset;
	const char *p = text;

	if (!take_date(&p, &days) || !take_char(&p, 'T') || !take_clock(&p, &seconds) || !take_fraction(&p, &t.nanos) ||
	    !take_zone(&p, &offset) || *p)
		return fail(err, E_INVALID, "not an RFC 3339 time");
	t.seconds = days * SECONDS_PER_DAY + seconds - offset;
	if (t.seconds < first_second || t.seconds > last_second)
		return fail(err, E_INVALID, "time outside of the years 1 to 9999");
	*ret_time = t;
	*ret_zone = (int32_t)offset;
	return OK;
}

int timestamp_parse(const char *text, struct timestamp *ret_time, struct err *err)
{
	return timestamp_parse_zoned(text, ret_time, &(int32_t){ 0 }, err);
}

/* ".87597179", or nothing */
static void fraction_text(int32_t nanos, char out[16])
{
	size_t len;

	out[0] = 0;
	if (nanos <= 0 || nanos > 999999999)
		return;
	len = (size_t)snprintf(out, 16, ".%09d", (int)nanos);
	while (out[len - 1] == '0')
		out[--len] = 0;
}

/* "Z" or "+08:00" */
static void zone_text(int32_t zone, char out[8])
{
	int minutes = (zone < 0 ? -zone : zone) / 60;

	snprintf(out, 8, "Z");
	if (zone)
		snprintf(out, 8, "%c%02d:%02d", zone < 0 ? '-' : '+', minutes / 60 % 100, minutes % 60);
}

char *timestamp_text_zoned(const struct timestamp *t, int32_t zone, char out[40])
{
	int64_t seconds = t->present ? t->seconds + zone : first_second;
	int64_t days = seconds / SECONDS_PER_DAY - (seconds % SECONDS_PER_DAY < 0), year;
	int of_day = (int)(seconds % SECONDS_PER_DAY), month, day;
	char fraction[16], east[8];

	if (of_day < 0)
		of_day += SECONDS_PER_DAY;
	date_of(days, &year, &month, &day);
	fraction_text(t->present ? t->nanos : 0, fraction);
	zone_text(t->present ? zone : 0, east);
	snprintf(out, 40, "%04lld-%02d-%02dT%02d:%02d:%02d%s%s", (long long)year, month, day, of_day / 3600,
		 of_day / 60 % 60, of_day % 60, fraction, east);
	return out;
}

char *timestamp_text(const struct timestamp *t, char out[40])
{
	return timestamp_text_zoned(t, 0, out);
}
