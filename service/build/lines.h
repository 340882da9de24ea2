/*
 * The instructions of a Dockerfile's text, each as one line: comments and empty lines
 * dropped, continued lines joined (build.md 1.1).
 *
 *	struct lines l = lines_of(text, '\\');
 *	while ((r = lines_next(&l, &line)) > 0) ...
 *
 * Pure; one thread.
 */
#ifndef SERVICE_BUILD_LINES_H
#define SERVICE_BUILD_LINES_H

#include "proto/runtime/buf.h"

struct lines {
	const char *next;
	char escape; /* what continues a line at its end */
	int number;  /* of the line that was read last, from 1 */
	int first;   /* where the instruction begins */
};

struct lines lines_of(const char *text, char escape);

/* The next instruction, without blanks before it: 1, or 0 when there is none left. The
 * buffer is emptied first; when it is too small or memory is short, its `failed` is set. */
int lines_next(struct lines *l, struct buf *ret_line);

#endif
