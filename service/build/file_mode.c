#include "service/build/file_mode.h"

#include "service/build/number.h"
#include "store/types/text.h"

enum { ALL_BITS = 07777, SET_USER = 04000, SET_GROUP = 02000, STICKY = 01000, EXECUTE = 0111 };

/* ---- who and what --------------------------------------------------------------- */

/* "ug": the bits that belong to them; without any letter to all. */
static uint32_t take_who(const char **p)
{
	uint32_t who = 0;

	for (; **p && strchr("ugoa", **p); ++*p)
		who |= **p == 'u' ? 04700u : **p == 'g' ? 02070u : **p == 'o' ? 00007u : (uint32_t)ALL_BITS & ~01000u;
	return who ? who : (uint32_t)ALL_BITS & ~01000u;
}

/* The three bits of one of them for all three. */
static uint32_t spread(uint32_t bits)
{
	return bits << 6 | bits << 3 | bits;
}

static bool take_copy(const char **p, uint32_t mode, uint32_t *ret_bits)
{
	switch (**p) {
	case 'u':
		*ret_bits = spread(mode >> 6 & 7);
		break;
	case 'g':
		*ret_bits = spread(mode >> 3 & 7);
		break;
	case 'o':
		*ret_bits = spread(mode & 7);
		break;
	default:
		return false;
	}
	++*p;
	return true;
}

/* "rwxXst"; the sticky bit belongs to nobody. */
static uint32_t take_what(const char **p, uint32_t mode, bool is_directory)
{
	uint32_t bits = 0;

	for (; **p && strchr("rwxXst", **p); ++*p) {
		switch (**p) {
		case 'r':
			bits |= spread(4);
			break;
		case 'w':
			bits |= spread(2);
			break;
		case 'x':
			bits |= spread(1);
			break;
		case 'X':
			bits |= is_directory || (mode & EXECUTE) ? spread(1) : 0;
			break;
		case 's':
			bits |= SET_USER | SET_GROUP;
			break;
		default:
			bits |= STICKY;
			break;
		}
	}
	return bits;
}

static uint32_t change(char operation, uint32_t mode, uint32_t who, uint32_t bits)
{
	uint32_t set = (bits & who) | (bits & STICKY);

	if (operation == '+')
		return mode | set;
	if (operation == '-')
		return mode & ~set;
	return (mode & ~who) | set;
}

/* One "ug+rw-x"; false when it is none. */
static bool take_clause(const char **p, uint32_t *mode, bool is_directory)
{
	uint32_t who = take_who(p), bits;

	if (!**p || !strchr("+-=", **p))
		return false;
	while (**p && strchr("+-=", **p)) {
		char operation = *(*p)++;

		if (!take_copy(p, *mode, &bits))
			bits = take_what(p, *mode, is_directory);
		*mode = change(operation, *mode, who, bits);
	}
	return true;
}

static bool take_all(const char *p, uint32_t *mode, bool is_directory)
{
	do {
		if (!take_clause(&p, mode, is_directory))
			return false;
	} while (*p++ == ',');
	return !p[-1];
}

/* ---- both ways ------------------------------------------------------------------ */

int file_mode_check(const char *text, struct err *err)
{
	uint32_t mode = 0;

	if (uint32_parse(text, 8, &mode) ? mode <= ALL_BITS : take_all(text, &mode, false))
		return OK;
	return fail(err, E_INVALID,
		    "invalid chmod parameter: '%.128s'. it should be octal string and between 0 and 07777", text);
}

uint32_t file_mode_apply(const char *text, uint32_t mode, bool is_directory)
{
	uint32_t octal;

	if (uint32_parse(text, 8, &octal))
		return octal & ALL_BITS;
	take_all(text, &mode, is_directory);
	return mode & ALL_BITS;
}
