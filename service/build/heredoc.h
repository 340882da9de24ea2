/*
 * Here-documents of RUN, COPY and ADD (build.md 1.1): `[FD]<<[-]WORD` on the line, the
 * text on the lines behind it up to WORD. Quotes in the word mean that the text is not
 * expanded; "-" that tabs before its lines, and before the end, do not count.
 *
 * Pure; words are in the caller's arena.
 */
#ifndef SERVICE_BUILD_HEREDOC_H
#define SERVICE_BUILD_HEREDOC_H

#include "store/types/text.h"

struct heredoc {
	struct bytes name; /* the word without its quotes */
	bool expand;
	bool chomp;	      /* "-" */
	uint32_t fd;	      /* 0 when there is none */
	struct bytes content; /* as it stands in the file, with its newlines and tabs */
};

enum { HEREDOCS_MAX = 256 }; /* of one line */

/* Whether all of the word is one: 1, 0. E_INVALID when its quotes are not closed. */
int heredoc_parse(struct bytes word, struct arena *a, struct heredoc *ret_doc, struct err *err);

/* Those that a line names, in order. */
int heredocs_of_line(struct bytes line, struct arena *a, struct heredoc **ret_docs, size_t *ret_n, struct err *err);

/* Takes the content from the lines behind; counts them. E_INVALID "unterminated heredoc". */
int heredoc_read(struct heredoc *doc, struct bytes *rest, int *number, struct err *err);

/* The content as it is meant: without its leading tabs for "-". In the arena. */
int heredoc_content(const struct heredoc *doc, struct arena *a, const char **ret_text, struct err *err);

#endif
