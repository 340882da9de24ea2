#include "service/build/duration.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "proto/runtime/mem.h"

static const uint64_t limit = (uint64_t)1 << 63; /* a negative one may reach it */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "12" or "12.34"; *ret_fraction is below 1. */
static bool take_number(const char **p, uint64_t *ret_whole, double *ret_fraction)
{
	double scale = 1;
	bool some = false;

	*ret_whole = 0;
	*ret_fraction = 0;
	for (; is_digit(**p); (*p)++, some = true) {
		if (*ret_whole > limit / 10)
			return false;
		*ret_whole = *ret_whole * 10 + (uint64_t)(**p - '0');
		if (*ret_whole > limit)
			return false;
	}
	if (**p != '.')
		return some;
	for ((*p)++; is_digit(**p); (*p)++, some = true) {
		scale *= 10;
		if (scale < 1e18) /* finer is not told apart */
			*ret_fraction += (**p - '0') / scale;
	}
	return some;
}

static const struct unit {
	const char *name;
	uint64_t ns;
} units[] = {
	{ "ns", 1 },
	{ "us", 1000 },
	{ "\xc2\xb5s", 1000 }, /* micro sign */
	{ "\xce\xbcs", 1000 }, /* mu */
	{ "ms", 1000 * 1000 },
	{ "s", 1000 * 1000 * 1000 },
	{ "m", UINT64_C(60) * 1000 * 1000 * 1000 },
	{ "h", UINT64_C(3600) * 1000 * 1000 * 1000 },
};

static uint64_t unit_of(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (strlen(units[i].name) == len && !memcmp(units[i].name, name, len))
			return units[i].ns;
	return 0;
}

static int invalid(const char *text, struct err *err)
{
	return fail(err, E_INVALID, "time: invalid duration \"%.64s\"", text);
}

/* One number with its unit, added to *sum. */
static int take_part(const char **p, const char *text, uint64_t *sum, struct err *err)
{
	uint64_t whole, unit, ns;
	double fraction;
	size_t len;

	if (!take_number(p, &whole, &fraction))
		return invalid(text, err);
	len = strcspn(*p, ".0123456789");
	if (!len)
		return fail(err, E_INVALID, "time: missing unit in duration \"%.64s\"", text);
	unit = unit_of(*p, len);
	if (!unit)
		return fail(err, E_INVALID, "time: unknown unit \"%.*s\" in duration \"%.64s\"",
			    (int)(len < 32 ? len : 32), *p, text);
	*p += len;
	if (whole > limit / unit)
		return invalid(text, err);
	ns = whole * unit + (uint64_t)(fraction * (double)unit);
	if (ns > limit || *sum > limit - ns)
		return invalid(text, err);
	*sum += ns;
	return OK;
}

int duration_parse(const char *text, int64_t *ret_ns, struct err *err)
{
	bool negative = *text == '-';
	const char *p = text + (*text == '-' || *text == '+');
	uint64_t sum = 0;

	if (!*p)
		return invalid(text, err);
	if (!strcmp(p, "0"))
		p++;
	while (*p)
		if (take_part(&p, text, &sum, err) < 0)
			return E_INVALID;
	if (!negative && sum >= limit)
		return invalid(text, err);
	*ret_ns = negative ? (sum == limit ? INT64_MIN : -(int64_t)sum) : (int64_t)sum;
	return OK;
}

/* "1.5" of 1500 and 1000; the fraction without zeros at its end. */
static int put_fraction(char *out, size_t max, uint64_t ns, uint64_t unit, const char *name)
{
	char fraction[32] = "";
	int n;

	if (ns % unit)
		snprintf(fraction, sizeof fraction, ".%09llu",
			 (unsigned long long)(ns % unit) * (1000 * 1000 * 1000 / unit));
	for (size_t len = strlen(fraction); len && fraction[len - 1] == '0'; len--)
		fraction[len - 1] = 0;
	n = snprintf(out, max, "%llu%s%s", (unsigned long long)(ns / unit), fraction, name);
	return n < 0 ? 0 : n;
}

char *duration_text(int64_t ns, char out[DURATION_TEXT_MAX])
{
	static const uint64_t second = 1000 * 1000 * 1000;
	uint64_t n = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
	uint64_t hours = n / (3600 * second), minutes = n / (60 * second) % 60;
	int at = snprintf(out, DURATION_TEXT_MAX, "%s", ns < 0 ? "-" : "");

	if (!n)
		snprintf(out, DURATION_TEXT_MAX, "0s");
	else if (n < 1000)
		put_fraction(out + at, (size_t)(DURATION_TEXT_MAX - at), n, 1, "ns");
	else if (n < 1000 * 1000)
		put_fraction(out + at, (size_t)(DURATION_TEXT_MAX - at), n, 1000, "\xc2\xb5s");
	else if (n < second)
		put_fraction(out + at, (size_t)(DURATION_TEXT_MAX - at), n, 1000 * 1000, "ms");
	if (n < second)
		return out;
	if (hours)
		at += snprintf(out + at, (size_t)(DURATION_TEXT_MAX - at), "%lluh", (unsigned long long)hours);
	if (hours || minutes)
		at += snprintf(out + at, (size_t)(DURATION_TEXT_MAX - at), "%llum", (unsigned long long)minutes);
	put_fraction(out + at, (size_t)(DURATION_TEXT_MAX - at), n % (60 * second), second, "s");
	return out;
}
