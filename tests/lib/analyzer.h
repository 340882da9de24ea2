/*
 * Included before every source by clang-tidy only (tests/run.sh lint). The analyzer
 * looks at one file at a time and cannot see that these never return OK; told so, it
 * no longer follows paths that do not exist.
 */
#ifndef TESTS_LIB_ANALYZER_H
#define TESTS_LIB_ANALYZER_H

#include "proto/runtime/err.h"
#include "proto/runtime/mem.h"

/* So a caller's `return err->code` is no OK either. */
static inline int analyzer_failed(struct err *err, int code)
{
	if (err)
		err->code = code;
	return code;
}

#define fail(err, code, ...) ((void)(fail)(err, code, __VA_ARGS__), analyzer_failed(err, code))
#define fail_errno(err, ...) ((void)(fail_errno)(err, __VA_ARGS__), analyzer_failed(err, E_IO))
#define fail_nomem(err) ((void)(fail_nomem)(err), analyzer_failed(err, E_NO_MEMORY))
#define err_wrap(err, ...) ((void)(err_wrap)(err, __VA_ARGS__), E_UNKNOWN)

#endif
