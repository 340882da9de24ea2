/*
 * One instruction of a Dockerfile: from its line to a typed value. Here are those that
 * change nothing but the image configuration (and that `import --change` takes); what
 * they do to it is apply.h.
 *
 *	CMD, ENTRYPOINT     JSON array, or a line for the shell
 *	ENV, LABEL          name=value words, or "name value"
 *	EXPOSE, VOLUME      words; VOLUME also a JSON array
 *	HEALTHCHECK         NONE, or [--interval= --timeout= --start-period=
 *	                    --start-interval= --retries=] CMD as CMD
 *	MAINTAINER, ONBUILD, STOPSIGNAL, USER, WORKDIR   the rest of the line
 *
 * Pure; the result is in the caller's arena. E_INVALID in docker's words ("ENV must have
 * two arguments"), E_NO_MEMORY also when the arena is full. Variables stay as written.
 */
#ifndef SERVICE_BUILD_INSTRUCTION_H
#define SERVICE_BUILD_INSTRUCTION_H

#include "service/build/words.h"

enum instruction_kind {
	INSTRUCTION_CMD,
	INSTRUCTION_ENTRYPOINT,
	INSTRUCTION_ENV,
	INSTRUCTION_EXPOSE,
	INSTRUCTION_HEALTHCHECK,
	INSTRUCTION_LABEL,
	INSTRUCTION_MAINTAINER,
	INSTRUCTION_ONBUILD,
	INSTRUCTION_STOPSIGNAL,
	INSTRUCTION_USER,
	INSTRUCTION_VOLUME,
	INSTRUCTION_WORKDIR,
};

struct instruction {
	enum instruction_kind kind;
	/* CMD, ENTRYPOINT: the arguments, or the one text for the shell; EXPOSE, VOLUME. */
	struct string_list words;
	bool for_shell;
	struct string_pair *pairs; /* ENV, LABEL: at least one */
	size_t n_pairs;
	const char *text;	   /* the rest of the line, never empty */
	struct healthcheck health; /* HEALTHCHECK; its list is in the arena, too */
};

/* Whether the line's first word, in any case, is one of these. */
bool instruction_known(const char *line, enum instruction_kind *ret_kind);
/* The first word, for messages. */
struct bytes instruction_keyword(const char *line);

/* A line as lines.h gives it. `escape`: of the Dockerfile. */
int instruction_parse(const char *line, char escape, struct arena *a, struct instruction *ret_instruction,
		      struct err *err);

/* ---- private to instruction.c and health.c ---------------------------------- */

/* What stands behind the keyword. */
struct arguments {
	const char *keyword;	  /* in upper case */
	const char *text;	  /* without the flags and without blanks around it */
	struct string_list flags; /* "--name=value" */
	char escape;
	struct arena *arena;
};

/* JSON or the text for the shell; no words when the text is empty. */
int arguments_command(const struct arguments *g, const char *text, struct string_list *ret_words, bool *ret_for_shell,
		      struct err *err);
/* "unknown flag: --x": for an instruction without any. */
int arguments_no_flags(const struct arguments *g, struct err *err);
int healthcheck_parse(const struct arguments *g, struct healthcheck *ret_health, struct err *err);

#endif
