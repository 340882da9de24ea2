/*
 * Filters written as literals.
 */
#ifndef TESTS_UNIT_IMAGE_LITERALS_H
#define TESTS_UNIT_IMAGE_LITERALS_H

#include "imaged/v1/common.pb-c.h"
#include "proto/runtime/mem.h"

/* protobuf-c's strings are not const, and what the tests set are literals. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wincompatible-pointer-types-discards-qualifiers"
#else
#pragma GCC diagnostic ignored "-Wdiscarded-qualifiers"
#endif

/* clang-format off */
#define TEXTS(...) (char *[]){ __VA_ARGS__ }
#define LIST(field, ...) .n_##field = ARRAY_LEN(TEXTS(__VA_ARGS__)), .field = TEXTS(__VA_ARGS__)
#define BETWEEN(since_, before_, ...)                                                       \
	&(Imaged__V1__ImageFilter){ PROTOBUF_C_MESSAGE_INIT(&imaged__v1__image_filter__descriptor), \
				    .since = since_, .before = before_, __VA_ARGS__ }
#define FILTER(...) BETWEEN("", "", __VA_ARGS__)
/* clang-format on */

#endif
