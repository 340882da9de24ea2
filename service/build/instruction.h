/*
 * One instruction of a Dockerfile as a typed value; what it does to an image's
 * configuration is apply.h.
 *
 *	ADD, COPY           words are the sources, text the destination; files, copy
 *	ARG                 pairs; a value may be NULL
 *	CMD, ENTRYPOINT     words: the arguments, or the one text for the shell
 *	ENV, LABEL          pairs
 *	EXPOSE, VOLUME      words
 *	FROM                text: the base; from
 *	HEALTHCHECK         health
 *	MAINTAINER, ONBUILD, STOPSIGNAL, USER, WORKDIR   text
 *	RUN                 as CMD; files, run
 *	SHELL               words
 *
 * Pure; the result is in the caller's arena and borrows from its node. E_INVALID in
 * docker's words ("ENV must have two arguments"), E_NO_MEMORY also when the arena is full.
 * Variables stay as written.
 */
#ifndef SERVICE_BUILD_INSTRUCTION_H
#define SERVICE_BUILD_INSTRUCTION_H

#include "service/build/flags.h"
#include "service/build/mount.h"
#include "service/build/tree.h"

enum instruction_kind {
	INSTRUCTION_ADD,
	INSTRUCTION_ARG,
	INSTRUCTION_CMD,
	INSTRUCTION_COPY,
	INSTRUCTION_ENTRYPOINT,
	INSTRUCTION_ENV,
	INSTRUCTION_EXPOSE,
	INSTRUCTION_FROM,
	INSTRUCTION_HEALTHCHECK,
	INSTRUCTION_LABEL,
	INSTRUCTION_MAINTAINER,
	INSTRUCTION_ONBUILD,
	INSTRUCTION_RUN,
	INSTRUCTION_SHELL,
	INSTRUCTION_STOPSIGNAL,
	INSTRUCTION_USER,
	INSTRUCTION_VOLUME,
	INSTRUCTION_WORKDIR,
};

/* In upper case. */
const char *instruction_name(enum instruction_kind kind);

struct pair {
	const char *key, *value;
	bool old_form;		 /* "name value", without '=' */
	const char *description; /* of an ARG, from the comment above it; "" when there is none */
};

/* A here-document that stands for a file. */
struct inline_file {
	const char *name;
	const char *content; /* of ADD, COPY as it is meant; of RUN as it is written */
	bool expand, chomp;
};

enum tristate { UNSET, OFF, ON };

struct copy_options {
	const char *chown, *chmod, *from, *checksum; /* "" when not given */
	bool link, parents;
	enum tristate keep_git_dir, unpack; /* ADD */
	struct string_list excludes;
};

struct device {
	const char *name;
	bool required;
};

struct run_options {
	struct string_list mounts;  /* as written */
	const char **mount_sources; /* `from` of each; "" */
	const char *network;	    /* "default", "none", "host" */
	const char *security;	    /* "sandbox", "insecure" */
	struct device *devices;
	size_t n_devices;
};

struct from_options {
	const char *name;     /* in lower case; "" when there is none */
	const char *platform; /* as written; "" */
	const char *description;
};

struct instruction {
	enum instruction_kind kind;
	const char *keyword; /* as written */
	const char *code;    /* the whole line, joined */
	struct place place;
	const struct node *node;
	struct string_list words;
	bool for_shell;
	struct pair *pairs;
	size_t n_pairs;
	const char *text;
	struct healthcheck health; /* its list is in the arena, too */
	struct inline_file *files;
	size_t n_files;
	struct copy_options copy;
	struct run_options run;
	struct from_options from;
};

/* Whether it changes an image's configuration and nothing else, so that `import --change`
 * takes it. */
bool instruction_is_change(enum instruction_kind kind);

bool instruction_find(struct bytes keyword, enum instruction_kind *ret_kind);

int instruction_of(const struct node *n, char escape, struct arena *a, struct instruction *ret_instruction,
		   struct err *err);

/* ---- private to instruction*.c and health.c --------------------------------- */

/* An instruction that is being read. */
struct arguments {
	const struct node *node;
	const char *keyword; /* in upper case */
	struct arena *arena;
	struct instruction *to;
	char escape;
};

/* In the arena, NUL-terminated. E_INVALID when it holds a NUL. */
int arguments_text(const struct arguments *g, struct bytes word, const char **ret_text, struct err *err);
/* The node's words from `from` on, but for `end` at the end. */
int arguments_words(const struct arguments *g, size_t from, size_t end, struct string_list *ret_words, struct err *err);
/* "unknown flag: --x": for an instruction without any. */
int arguments_no_flags(const struct arguments *g, struct err *err);
/* "X requires exactly one argument" */
int arguments_one(const struct arguments *g, struct err *err);
/* What a comment says about a name: "" when it says nothing. */
int arguments_description(const struct arguments *g, const char *name, const char **ret_text, struct err *err);

int health_parse(const struct arguments *g, struct err *err);
int copy_parse(const struct arguments *g, struct err *err);
int run_parse(const struct arguments *g, struct err *err);
int from_parse(const struct arguments *g, struct err *err);
int onbuild_parse(const struct arguments *g, struct err *err);

#endif
