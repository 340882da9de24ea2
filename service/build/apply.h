/*
 * What an instruction does to an image configuration, as docker's builder does it, and
 * the line that the image's history gets for it.
 *
 * One instruction after another, of one stage, by one thread. E_INVALID in docker's
 * words; E_LIMIT. After a failure the configuration holds part of the instruction.
 */
#ifndef SERVICE_BUILD_APPLY_H
#define SERVICE_BUILD_APPLY_H

#include "service/build/build_stage.h"

/* Only what instruction_is_change() says, and SHELL. */
int instruction_apply(const struct instruction *i, struct build_stage *stage, struct err *err);

#endif
