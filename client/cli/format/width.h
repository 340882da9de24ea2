/*
 * UTF-8 and the number of terminal cells a text takes (docker-cli.md 1.6).
 *
 * A "cluster" (a base with its marks, a flag, an emoji joined from several) takes
 * the cells of its first character. Ambiguous characters take two cells in a
 * Chinese, Japanese or Korean locale. Pure but for width_is_east_asian().
 */
#ifndef CLIENT_CLI_FORMAT_WIDTH_H
#define CLIENT_CLI_FORMAT_WIDTH_H

#include "proto/runtime/mem.h"

#define RUNE_BAD 0xFFFDu

/* Decodes one character of at least one byte; returns the bytes it takes. A byte
 * that starts no valid UTF-8 is RUNE_BAD, one byte long. */
size_t rune_decode(const char *s, size_t len, uint32_t *ret_rune);
/* Encodes into out (4 bytes); what is no character becomes RUNE_BAD. */
size_t rune_encode(uint32_t rune, char out[4]);
size_t rune_count(const char *s, size_t len);

/* East Asian wide or fullwidth. */
bool rune_is_wide(uint32_t rune);

/* Whether the environment (RUNEWIDTH_EASTASIAN, LC_ALL, LC_CTYPE, LANG) names
 * such a locale. */
bool width_is_east_asian(void);
size_t width_of(const char *s, size_t len, bool east_asian);

/* Letters, digits and case of any script, as far as the C library knows them. */
bool rune_is_letter_or_digit(uint32_t rune); /* letters and digits beyond ASCII */
bool rune_is_printable(uint32_t rune);
bool rune_is_control(uint32_t rune); /* ASCII's, DEL and C1's */
uint32_t rune_upper(uint32_t rune);
uint32_t rune_title(uint32_t rune); /* "ǅ" of "ǆ" */
uint32_t rune_lower(uint32_t rune);

#endif
