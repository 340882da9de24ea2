/*
 * Parser directives: comments at the very top of a Dockerfile that set how it is read
 * (build.md 1.1): "# escape=`", "# syntax=IMAGE", "# check=OPTIONS". The first line that
 * is none ends them.
 *
 * Pure.
 */
#ifndef SERVICE_BUILD_DIRECTIVE_H
#define SERVICE_BUILD_DIRECTIVE_H

#include "store/types/text.h"

enum directive_kind { DIRECTIVE_CHECK, DIRECTIVE_ESCAPE, DIRECTIVE_SYNTAX, N_DIRECTIVES };

struct directives {
	bool done;
	bool seen[N_DIRECTIVES];
};

/* One line, without blanks before it. 1 when it is a directive, 0. E_INVALID: "only one
 * escape parser directive can be used". */
int directive_read(struct directives *d, struct bytes line, const char *mark, enum directive_kind *ret_kind,
		   struct bytes *ret_value, struct err *err);

/* The value of one of them in a whole file, to its first blank; also behind a line "#!",
 * as "//" comments, and as a member of a JSON object. False when it is not there. `a` may
 * be NULL: then no JSON. *ret_line counts from 1. */
bool directive_find(struct bytes text, enum directive_kind kind, struct arena *a, struct bytes *ret_value,
		    int *ret_line);

#endif
