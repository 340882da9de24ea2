/*
 * The instructions of a Dockerfile's text, each as one line: comments and empty lines
 * dropped, continued lines joined, the escape directive heeded (build.md 1.1).
 *
 *	struct lines l = lines_of(text);
 *	while ((r = lines_next(&l, a, &line, err)) > 0) ...
 *
 * Pure; one thread. Lines are pieces of the text, or are in the arena.
 */
#ifndef SERVICE_BUILD_LINES_H
#define SERVICE_BUILD_LINES_H

#include "service/build/directive.h"

enum { COMMENTS_MAX = 1000 }; /* that are kept of one instruction */

struct lines {
	struct bytes rest; /* what is not yet read; the here-documents are taken from it */
	int number;	   /* of the line that was read last, from 1 */
	char escape;	   /* what continues a line at its end */
	struct directives directives;
	struct word_list comments; /* since the last instruction; an empty one clears them */
};

struct line {
	struct bytes text; /* without blanks before it */
	int first, last;   /* lines of the file */
	struct word_list comments;
	bool empty_continuation; /* an empty line stood between its lines */
};

struct lines lines_of(struct bytes text);

/* The next instruction: 1, or 0 when there is none left. E_INVALID: a directive is wrong,
 * at l->number; E_LIMIT, E_NO_MEMORY. */
int lines_next(struct lines *l, struct arena *a, struct line *ret_line, struct err *err);

#endif
