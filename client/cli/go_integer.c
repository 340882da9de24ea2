#include "client/cli/go_integer.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static unsigned digit_of(char c)
{
	if (isdigit((unsigned char)c))
		return (unsigned)(c - '0');
	return isalpha((unsigned char)c) ? (unsigned)((c | 0x20) - 'a') + 10 : 99;
}

/* *p moves behind the prefix; a leading 0 of octal is one, and counts as a digit. */
static unsigned take_base(const char **p, bool *ret_after_digit)
{
	static const char letters[] = "xob";
	static const unsigned bases[] = { 16, 8, 2 };
	const char *s = *p, *letter = s[0] == '0' && s[1] ? strchr(letters, s[1] | 0x20) : NULL;

	*ret_after_digit = false;
	if (letter) {
		*p += 2;
		*ret_after_digit = true; /* an underscore may follow */
		return bases[letter - letters];
	}
	if (s[0] != '0' || !s[1])
		return 10;
	*p += 1;
	*ret_after_digit = true;
	return 8;
}

const char *go_integer(const char *text, int64_t *ret_number)
{
	static const char syntax[] = "invalid syntax", range[] = "value out of range";
	bool negative = *text == '-', after_digit;
	const char *p = text + (negative || *text == '+');
	uint64_t number = 0, most = (uint64_t)INT64_MAX + negative;
	unsigned base = take_base(&p, &after_digit);

	if (!*p)
		return syntax;
	for (; *p; p++) {
		unsigned digit = digit_of(*p);

		if (*p == '_' && after_digit && digit_of(p[1]) < base) {
			after_digit = false;
			continue;
		}
		if (digit >= base)
			return syntax;
		if (number > (most - digit) / base)
			return range;
		number = number * base + digit;
		after_digit = true;
	}
	*ret_number = negative ? (int64_t)(0 - number) : (int64_t)number;
	return NULL;
}
