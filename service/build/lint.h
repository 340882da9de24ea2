/*
 * Warnings about a Dockerfile (build.md 1.5) and what decides which of them count: the
 * `check=` directive of the file, and the same in a comment above an instruction.
 *
 *	check=skip=RuleA,RuleB;error=true;experimental=all
 *
 * Pure; one thread; all in the arena. A NULL lint takes and drops everything.
 */
#ifndef SERVICE_BUILD_LINT_H
#define SERVICE_BUILD_LINT_H

#include "service/build/tree.h"

enum lint_rule {
	LINT_CONSISTENT_INSTRUCTION_CASING,
	LINT_COPY_IGNORED_FILE,
	LINT_DUPLICATE_STAGE_NAME,
	LINT_EXPOSE_INVALID_FORMAT,
	LINT_EXPOSE_PROTO_CASING,
	LINT_FROM_AS_CASING,
	LINT_FROM_PLATFORM_FLAG_CONST_DISALLOWED,
	LINT_INVALID_BASE_IMAGE_PLATFORM,
	LINT_INVALID_DEFAULT_ARG_IN_FROM,
	LINT_INVALID_DEFINITION_DESCRIPTION,
	LINT_JSON_ARGS_RECOMMENDED,
	LINT_LEGACY_KEY_VALUE_FORMAT,
	LINT_MAINTAINER_DEPRECATED,
	LINT_MULTIPLE_INSTRUCTIONS_DISALLOWED,
	LINT_NO_EMPTY_CONTINUATION,
	LINT_REDUNDANT_TARGET_PLATFORM,
	LINT_RESERVED_STAGE_NAME,
	LINT_SECRETS_USED_IN_ARG_OR_ENV,
	LINT_STAGE_NAME_CASING,
	LINT_UNDEFINED_ARG_IN_FROM,
	LINT_UNDEFINED_VAR,
	LINT_WORKDIR_RELATIVE_PATH,
	N_LINT_RULES,
};

struct lint_options {
	uint32_t skip;	       /* a bit for each rule */
	uint32_t experimental; /* likewise */
	bool error;	       /* a warning fails the build */
};

struct lint_warning {
	enum lint_rule rule;
	struct place place;
	const char *detail;
};

enum { LINT_WARNINGS_MAX = 1000 };

struct lint {
	struct arena *arena;
	struct lint_options options;
	struct lint_warning *warnings;
	size_t n, capacity;
	bool full; /* there were more warnings than these, or memory was short */
};

const char *lint_name(enum lint_rule rule);	   /* "StageNameCasing" */
const char *lint_description(enum lint_rule rule); /* what the rule is about */
const char *lint_url(enum lint_rule rule);	   /* "" when there is none */

/* The value of a check directive. E_INVALID: "invalid check option \"x\"". */
int lint_options_parse(const char *text, struct lint_options *ret_options, struct err *err);

/* `comments` are those above the instruction, or NULL. */
void lint_warn(struct lint *l, const struct word_list *comments, enum lint_rule rule, struct place place,
	       const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* E_INVALID "lint violation found for rules: A, B" when warnings fail the build. */
int lint_verdict(const struct lint *l, struct err *err);

#endif
