/*
 * A Dockerfile as its stages: what stands before the first FROM, and what belongs to each
 * (build.md 1.1). Reports the warnings that need no values (lint.h).
 *
 * Pure; the result is in the caller's arena and borrows from the text. E_INVALID in
 * BuildKit's words, about *ret_place: "dockerfile parse error on line 3: unknown
 * instruction: X"; E_LIMIT, E_NO_MEMORY.
 */
#ifndef SERVICE_BUILD_DOCKERFILE_H
#define SERVICE_BUILD_DOCKERFILE_H

#include "service/build/instruction.h"
#include "service/build/lint.h"

struct stage {
	const struct instruction *from;
	const struct instruction *commands;
	size_t n_commands;
};

struct dockerfile {
	char escape;
	const char *syntax;		   /* of the directive; "" when there is none */
	const struct instruction *globals; /* ARGs before the first FROM */
	size_t n_globals;
	struct stage *stages; /* at least one */
	size_t n_stages;
};

/* lint->options become those of the file's check directive, unless `lint` is NULL. */
int dockerfile_parse(struct bytes text, struct arena *a, struct lint *lint, struct dockerfile *ret_file,
		     struct place *ret_place, struct err *err);

/* An instruction that an image left to those built upon it: as ONBUILD stored it. It
 * stands at the FROM, `place`. */
int trigger_parse(const char *text, struct place place, struct arena *a, struct instruction *ret_instruction,
		  struct err *err);

/* Whether a syntax directive names the language that this is. */
bool syntax_is_known(const char *syntax);

#endif
