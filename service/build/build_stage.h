/*
 * A stage while its instructions are applied, one after another: what its words stand for,
 * and what it may still cost.
 *
 * One thread. E_INVALID in docker's words; E_LIMIT when the values together pass
 * BUILD_VALUES_MAX.
 */
#ifndef SERVICE_BUILD_BUILD_STAGE_H
#define SERVICE_BUILD_BUILD_STAGE_H

#include "service/build/instruction.h"
#include "service/build/lint.h"
#include "service/build/scope.h"

/* Expansions can double a value with every line: their sum is what bounds them. */
enum { BUILD_VALUES_MAX = 8 * 1024 * 1024, CREATED_BY_MAX = 4 * 1024 * 1024 };

/* What a value costs beside its bytes, for places in lists and searches in them. */
enum { STAGE_VALUE_COST = 128, UNDEFINED_MAX = 8 };

struct build_stage {
	struct image_config *image;		    /* the caller's: at first that of the image below, or zeros */
	char escape;				    /* of the Dockerfile */
	struct scope *args;			    /* what is no ENV of the image but has a value; NULL: nothing */
	struct lint *lint;			    /* NULL: nobody wants warnings */
	struct buf *created_by;			    /* what the history says of the instruction; NULL: nothing does */
	bool building;				    /* BuildKit's ways, where those of `import --change` are others */
	bool command_set;			    /* by a CMD of this stage: an ENTRYPOINT leaves it alone */
	bool workdir_set;			    /* by this stage or one below it in the same file */
	struct place used[INSTRUCTION_WORKDIR + 1]; /* where CMD, ENTRYPOINT, HEALTHCHECK stood last */
	size_t spent;				    /* of BUILD_VALUES_MAX */
	uint64_t steps;				    /* of patterns (shell_pattern.h); set by stage_init() */
	/* Of the word that stage_expand() expands, and borrowed from it: */
	bool is_expanding;
	struct bytes undefined[UNDEFINED_MAX];
	size_t n_undefined;
};

/* `args`, `lint` and `created_by` may be set afterwards. */
void stage_init(struct build_stage *s, struct image_config *image, char escape);

/* The value of a word of the instruction, appended: with warnings about what is not
 * defined. */
int stage_expand(struct build_stage *s, const struct instruction *i, const char *word, struct buf *out,
		 struct err *err);
/* The same for the text of a file: quotes mean nothing, and the escape is `\`. */
int stage_expand_raw(struct build_stage *s, const struct instruction *i, const char *word, struct buf *out,
		     struct err *err);

/* Takes from what the stage may cost. E_LIMIT once that is too much. */
int stage_spend(struct build_stage *s, size_t bytes, struct err *err);
int stage_check(struct build_stage *s, struct err *err);

/* What the variable stands for in this stage: ENV of the image before ARG. NULL: unset. */
const char *stage_value(void *stage, struct bytes name);

/* The absolute path of `path` in the working directory, cleaned; appended. */
int stage_path(const struct build_stage *s, const char *path, struct buf *out, struct err *err);

/* A command for the shell: the image's shell in front of it. The list is on the heap. */
int stage_shell_command(const struct build_stage *s, const struct string_list *words, bool for_shell,
			struct string_list *ret_command, struct err *err);

#endif
