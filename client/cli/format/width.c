#include "client/cli/format/width.h"

#include <ctype.h>
#include <locale.h>
#include <pthread.h>
#include <strings.h>
#include <wchar.h>
#include <wctype.h>

#include "client/cli/format/width_tables.h"

enum { ZERO_WIDTH_JOINER = 0x200D };

static bool continues(const char *s, size_t len, size_t i)
{
	return i < len && ((unsigned char)s[i] & 0xC0) == 0x80;
}

static uint32_t tail(const char *s, size_t i)
{
	return (unsigned char)s[i] & 0x3F;
}

size_t rune_decode(const char *s, size_t len, uint32_t *ret_rune)
{
	unsigned char lead = (unsigned char)s[0];
	uint32_t rune;

	*ret_rune = lead < 0x80 ? lead : RUNE_BAD;
	if (lead < 0xC2 || lead > 0xF4 || !continues(s, len, 1))
		return 1;
	if (lead < 0xE0) {
		*ret_rune = (uint32_t)(lead & 0x1F) << 6 | tail(s, 1);
		return 2;
	}
	if (!continues(s, len, 2))
		return 1;
	if (lead < 0xF0) {
		rune = (uint32_t)(lead & 0x0F) << 12 | tail(s, 1) << 6 | tail(s, 2);
		if (rune < 0x800 || (rune >= 0xD800 && rune <= 0xDFFF))
			return 1;
		*ret_rune = rune;
		return 3;
	}
	if (!continues(s, len, 3))
		return 1;
	rune = (uint32_t)(lead & 0x07) << 18 | tail(s, 1) << 12 | tail(s, 2) << 6 | tail(s, 3);
	if (rune < 0x10000 || rune > 0x10FFFF)
		return 1;
	*ret_rune = rune;
	return 4;
}

size_t rune_encode(uint32_t rune, char out[4])
{
	if (rune > 0x10FFFF || (rune >= 0xD800 && rune <= 0xDFFF))
		rune = RUNE_BAD;
	if (rune < 0x80) {
		out[0] = (char)rune;
		return 1;
	}
	if (rune < 0x800) {
		out[0] = (char)(0xC0 | rune >> 6);
		out[1] = (char)(0x80 | (rune & 0x3F));
		return 2;
	}
	if (rune < 0x10000) {
		out[0] = (char)(0xE0 | rune >> 12);
		out[1] = (char)(0x80 | (rune >> 6 & 0x3F));
		out[2] = (char)(0x80 | (rune & 0x3F));
		return 3;
	}
	out[0] = (char)(0xF0 | rune >> 18);
	out[1] = (char)(0x80 | (rune >> 12 & 0x3F));
	out[2] = (char)(0x80 | (rune >> 6 & 0x3F));
	out[3] = (char)(0x80 | (rune & 0x3F));
	return 4;
}

size_t rune_count(const char *s, size_t len)
{
	size_t n = 0;
	uint32_t rune;

	for (size_t at = 0; at < len; n++)
		at += rune_decode(s + at, len - at, &rune);
	return n;
}

static bool in_ranges(uint32_t rune, const struct rune_range *ranges, size_t n)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (rune > ranges[mid].last)
			low = mid + 1;
		else if (rune < ranges[mid].first)
			high = mid;
		else
			return true;
	}
	return false;
}

bool rune_is_wide(uint32_t rune)
{
	return rune >= 0x1100 && in_ranges(rune, wide_ranges, ARRAY_LEN(wide_ranges));
}

static size_t rune_width(uint32_t rune, bool east_asian)
{
	if (rune < 0x20 || rune == 0x7F)
		return 0;
	if (rune < 0x7F)
		return 1;
	if (in_ranges(rune, zero_ranges, ARRAY_LEN(zero_ranges)))
		return 0;
	if (rune_is_wide(rune))
		return 2;
	if (east_asian && in_ranges(rune, ambiguous_ranges, ARRAY_LEN(ambiguous_ranges)))
		return 2;
	return 1;
}

static bool is_flag_letter(uint32_t rune)
{
	return rune >= 0x1F1E6 && rune <= 0x1F1FF;
}

static bool is_skin_tone(uint32_t rune)
{
	return rune >= 0x1F3FB && rune <= 0x1F3FF;
}

/* Whether `rune` belongs to the cluster that `before` is part of. */
static bool joins(uint32_t before, uint32_t rune, size_t flag_letters)
{
	if (before == ZERO_WIDTH_JOINER)
		return rune_is_wide(rune) || (rune >= 0x2190 && rune < 0x2C00);
	if (is_flag_letter(rune))
		return is_flag_letter(before) && flag_letters % 2 == 1;
	return is_skin_tone(rune) && rune_is_wide(before);
}

size_t width_of(const char *s, size_t len, bool east_asian)
{
	size_t width = 0, flag_letters = 0;
	uint32_t before = 0, rune;

	for (size_t at = 0; at < len; before = rune) {
		at += rune_decode(s + at, len - at, &rune);
		if (!joins(before, rune, flag_letters))
			width += rune_width(rune, east_asian);
		flag_letters = is_flag_letter(rune) ? flag_letters + 1 : 0;
	}
	return width;
}

/* ---- locale --------------------------------------------------------------- */

static const char *locale_name(void)
{
	static const char *const variables[] = { "LC_ALL", "LC_CTYPE", "LANG" };

	for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
		const char *name = getenv(variables[i]);

		if (name && *name)
			return name;
	}
	return "";
}

/* "UTF-8@x" of "zh_CN.UTF-8@x" against a list of charsets. */
static bool charset_in(const char *charset, const char *const *list, size_t n)
{
	size_t len = strcspn(charset, "@");

	for (size_t i = 0; i < n; i++)
		if (strlen(list[i]) == len && !strncasecmp(charset, list[i], len))
			return true;
	return false;
}

/* The rules of go-runewidth, which docker uses. */
bool width_is_east_asian(void)
{
	static const char *const cjk[] = { "jis",   "eucjp", "euckr", "euccn", "sjis", "cp932", "cp51932",
					   "cp936", "cp949", "cp950", "big5",  "gbk",  "gb2312" };
	static const char *const utf8[] = { "utf8", "utf-8" };
	const char *force = getenv("RUNEWIDTH_EASTASIAN"), *name = locale_name();
	const char *charset = strchr(name, '.');

	if (force && *force)
		return !strcmp(force, "1");
	if (!strcmp(name, "C") || !strcmp(name, "POSIX") || !strncmp(name, "C.", 2) || !strncmp(name, "C-", 2))
		return false;
	charset = charset ? charset + 1 : name;
	if (strstr(charset, "@cjk_narrow"))
		return false;
	if (charset_in(charset, cjk, ARRAY_LEN(cjk)))
		return true;
	if (!charset_in(charset, utf8, ARRAY_LEN(utf8)))
		return false;
	return !strncmp(name, "ja", 2) || !strncmp(name, "ko", 2) || !strncmp(name, "zh", 2);
}

/* ---- classes, from the C library's built-in C.UTF-8 ------------------------ */

static locale_t unicode_locale;

static void open_locale(void)
{
	unicode_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static locale_t unicode(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, open_locale);
	return unicode_locale;
}

bool rune_is_letter_or_digit(uint32_t rune)
{
	return unicode() && iswalnum_l((wint_t)rune, unicode());
}

bool rune_is_control(uint32_t rune)
{
	return rune < ' ' || (rune >= 0x7f && rune < 0xa0);
}

bool rune_is_printable(uint32_t rune)
{
	if (rune < 0x80)
		return isprint((int)rune);
	return unicode() && iswprint_l((wint_t)rune, unicode()) && !iswspace_l((wint_t)rune, unicode()) &&
	       !in_ranges(rune, (const struct rune_range[]){ { 0xA0, 0xA0 }, { 0xAD, 0xAD }, { 0x2028, 0x2029 } }, 3);
}

uint32_t rune_upper(uint32_t rune)
{
	if (rune < 0x80)
		return (uint32_t)toupper((int)rune);
	return unicode() ? (uint32_t)towupper_l((wint_t)rune, unicode()) : rune;
}

uint32_t rune_title(uint32_t rune)
{
	wctrans_t title;

	if (rune < 0x80 || !unicode())
		return rune_upper(rune);
	title = wctrans_l("totitle", unicode());
	return title ? (uint32_t)towctrans_l((wint_t)rune, title, unicode()) : rune_upper(rune);
}

uint32_t rune_lower(uint32_t rune)
{
	if (rune < 0x80)
		return (uint32_t)tolower((int)rune);
	return unicode() ? (uint32_t)towlower_l((wint_t)rune, unicode()) : rune;
}
