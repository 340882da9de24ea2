/* What the tests of the generator share. */
#ifndef TESTS_UNIT_PLUGIN_PLUGIN_TEST_H
#define TESTS_UNIT_PLUGIN_PLUGIN_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#undef fail /* ours is another one */

#include "proto/runtime/mem.h"

#define assert_contains(text, part)                                           \
	do {                                                                  \
		if (!strstr((text), (part))) {                                \
			print_error("\"%s\" lacks \"%s\"\n", (text), (part)); \
			_fail(__FILE__, __LINE__);                            \
		}                                                             \
	} while (0)

#endif
