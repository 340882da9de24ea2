/*
 * What an instruction does to an image configuration, as docker's builder does it.
 *
 * One instruction after another, of one stage, by one thread. E_INVALID in docker's
 * words; E_LIMIT when the values together pass BUILD_VALUES_MAX. After a failure the
 * configuration holds part of the instruction.
 */
#ifndef SERVICE_BUILD_APPLY_H
#define SERVICE_BUILD_APPLY_H

#include "service/build/expand.h"
#include "service/build/instruction.h"

/* Expansions can double a value with every line: their sum is what bounds them. */
enum { BUILD_VALUES_MAX = 8 * 1024 * 1024 };

struct build_stage {
	struct image_config *image; /* the caller's: at first that of the image below, or zeros */
	char escape;		    /* of the Dockerfile */
	/* What is no ENV of the image but has a value, as an ARG; get may be NULL. */
	struct variables others;
	bool command_set; /* by a CMD of this stage: an ENTRYPOINT leaves it alone */
	size_t spent;	  /* of BUILD_VALUES_MAX */
};

int instruction_apply(const struct instruction *i, struct build_stage *stage, struct err *err);

#endif
