/* What the tests of proto/runtime share. */
#ifndef TESTS_UNIT_RUNTIME_RUNTIME_TEST_H
#define TESTS_UNIT_RUNTIME_RUNTIME_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#undef fail /* ours is another one */

#include "proto/runtime/mem.h"

#endif
