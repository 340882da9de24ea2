/*
 * Pieces of a text: what Go's strings and unicode packages do for docker's parser, over
 * borrowed bytes. Bytes that are no UTF-8 count as characters that belong to no class.
 *
 * Pure.
 */
#ifndef STORE_TYPES_TEXT_H
#define STORE_TYPES_TEXT_H

#include "proto/runtime/arena.h"
#include "proto/runtime/buf.h"

/* A byte that begins no character, as rune_at() gives it: beyond all of Unicode. */
enum { RUNE_BAD = 0x110000 };

/* The first character: its length, at least 1; `b` is not empty. A bad byte gives
 * RUNE_BAD + byte. */
size_t rune_at(struct bytes b, uint32_t *ret_rune);
/* Back to bytes, a bad one to itself. */
void rune_put(struct buf *out, uint32_t rune);

bool rune_is_space(uint32_t rune);
/* Letters of scripts; what is known to be punctuation or a symbol is none. */
bool rune_is_letter(uint32_t rune);

/* White space of words; unlike isspace() whatever the locale. */
bool is_blank(char c);

static inline struct bytes bytes_from(struct bytes b, size_t at)
{
	return (struct bytes){ b.data + at, b.len - at };
}

static inline struct bytes bytes_first(struct bytes b, size_t len)
{
	return (struct bytes){ b.data, len };
}

bool bytes_eq(struct bytes a, struct bytes b);
bool bytes_are(struct bytes b, const char *text);
bool bytes_are_nocase(struct bytes b, const char *text); /* letters of ASCII */
bool bytes_begin(struct bytes b, const char *prefix);
/* Where the byte is, or b.len. */
size_t bytes_find(struct bytes b, char c);

/* Without Unicode's white space at the left, at the right, at both ends. */
struct bytes bytes_trim_left(struct bytes b);
struct bytes bytes_trim_right(struct bytes b);
struct bytes bytes_trim(struct bytes b);

/* Moves behind the first line and its newline, which are given back: false at the end. */
bool bytes_take_line(struct bytes *rest, struct bytes *ret_line);

/* ---- a list that grows in an arena ------------------------------------------ */

enum { WORDS_MAX = 100 * 1000 }; /* of one list */

struct word_list {
	struct bytes *items; /* borrowed from the text or from the arena */
	size_t n;
	size_t capacity;
};

/* E_LIMIT past WORDS_MAX; E_NO_MEMORY also when the arena is full. */
int word_add(struct word_list *l, struct bytes word, struct arena *a, struct err *err);

/* What a failure is called: E_NO_MEMORY becomes E_LIMIT, with words about the Dockerfile,
 * when it was the arena that was full. Gives back the code. */
int arena_verdict(const struct arena *a, int r, struct err *err);

/* Room for one more of `n` things; doubles. Zeroed. OK, E_NO_MEMORY. */
int arena_grow(struct arena *a, void *items, size_t n, size_t *capacity, size_t size, struct err *err);

#endif
