/* What the tests of service/build share. */
#ifndef TESTS_UNIT_BUILD_UNIT_H
#define TESTS_UNIT_BUILD_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* ours is another one */

#include "proto/runtime/buf.h"

/* What a table's row says about itself when it fails. */
#define check_row(expected, actual, input)                                                                      \
	do {                                                                                                    \
		if (strcmp((expected), (actual)) != 0) {                                                        \
			print_error("for [%s]\nexpected [%s]\nbut is   [%s]\n", (input), (expected), (actual)); \
			_fail(__FILE__, __LINE__);                                                              \
		}                                                                                               \
	} while (0)

/* The same in words of the test's own. */
#define row_fails(...)                     \
	do {                               \
		print_error(__VA_ARGS__);  \
		_fail(__FILE__, __LINE__); \
	} while (0)

#endif
