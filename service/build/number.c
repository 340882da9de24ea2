#include "service/build/number.h"

#include <string.h>

#include "proto/runtime/mem.h"

bool bool_parse(const char *text, bool *ret_on)
{
	static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True" };
	static const char *const no[] = { "0", "f", "F", "FALSE", "false", "False" };

	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		if (!strcmp(text, yes[i]) || !strcmp(text, no[i])) {
			*ret_on = !strcmp(text, yes[i]);
			return true;
		}
	return false;
}

bool uint32_parse(const char *text, unsigned base, uint32_t *ret_number)
{
	uint64_t number = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		unsigned digit = (unsigned)(*text - '0');

		if (digit >= base)
			return false;
		number = number * base + digit;
		if (number > UINT32_MAX)
			return false;
	}
	*ret_number = (uint32_t)number;
	return true;
}

bool int64_parse(const char *text, int64_t *ret_number)
{
	bool negative = *text == '-';
	int64_t number = 0;

	text += *text == '-' || *text == '+';
	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_sub_overflow(number, *text - '0', &number))
			return false;
	}
	if (!negative && number == INT64_MIN)
		return false;
	*ret_number = negative ? number : -number;
	return true;
}

/* "k", "KB", "kib", "b", or nothing: 1024 to the power that is given back, or -1. */
static int size_power(const char *unit)
{
	static const char powers[] = "kmgtp";
	const char *found = *unit ? strchr(powers, *unit | 0x20) : NULL;

	if (!*unit || ((*unit | 0x20) == 'b' && !unit[1]))
		return 0;
	if (!found || !((*unit | 0x20) >= 'a'))
		return -1;
	unit++;
	if ((*unit | 0x20) == 'i' && *unit)
		return (unit[1] | 0x20) == 'b' && !unit[2] ? (int)(found - powers) + 1 : -1;
	if (*unit && ((*unit | 0x20) != 'b' || unit[1]))
		return -1;
	return (int)(found - powers) + 1;
}

bool size_parse(const char *text, int64_t *ret_bytes)
{
	double number = 0, scale = 1;
	size_t digits = strspn(text, "0123456789");
	int power;

	if (!digits || digits > 18)
		return false;
	for (; *text >= '0' && *text <= '9'; text++)
		number = number * 10 + (*text - '0');
	if (*text == '.')
		for (text++; *text >= '0' && *text <= '9'; text++)
			number += (*text - '0') / (scale *= 10);
	text += *text == ' ';
	for (power = size_power(text); power > 0; power--)
		number *= 1024;
	if (power < 0 || number >= 9e18)
		return false;
	*ret_bytes = (int64_t)number;
	return true;
}
