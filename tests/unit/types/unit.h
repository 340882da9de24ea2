/*
 * What the tests of store/types share: cmocka, the case data of other projects
 * (outside of this tree: tests that need it skip when it is not there), and the
 * usual checks.
 */
#ifndef TESTS_UNIT_TYPES_UNIT_H
#define TESTS_UNIT_TYPES_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* ours is another one */
#include <jansson.h>

#include "proto/runtime/buf.h"

#define failed(...)                        \
	do {                               \
		print_error(__VA_ARGS__);  \
		print_error("\n");         \
		_fail(__FILE__, __LINE__); \
	} while (0)

/* The file below the shared folder, or NULL. Freed with free(). */
static inline char *shared_read(const char *name)
{
	const char *folder = getenv("IMAGED_SHARED");
	struct buf b = BUF_INIT(16 * 1024 * 1024);
	char path[4096], chunk[4096];
	FILE *f;
	size_t n;

	snprintf(path, sizeof path, "%s/%s", folder ? folder : IMAGED_SOURCE_DIR "/../shared", name);
	f = fopen(path, "re");
	if (!f) {
		print_message("          %s is not here: skipped\n", name);
		return NULL;
	}
	while ((n = fread(chunk, 1, sizeof chunk, f)))
		assert_true(buf_append(&b, chunk, n));
	fclose(f);
	return buf_take(&b);
}

static inline json_t *shared_json(const char *name)
{
	char *text = shared_read(name);
	json_t *root = text ? json_loads(text, 0, NULL) : NULL;

	if (text)
		assert_non_null(root);
	free(text);
	return root;
}

#define assert_ok(call, e)                                  \
	do {                                                \
		if ((call) != OK)                           \
			failed("%s: %s", #call, (e)->text); \
	} while (0)

/* Fails with that code and a message that starts so. */
#define assert_fails(call, e, expected, start)                                                          \
	do {                                                                                            \
		int code_ = (call);                                                                     \
		if (code_ != (expected) || (e)->code != (expected))                                     \
			failed("%s: code %d, text \"%s\"", #call, code_, code_ == OK ? "" : (e)->text); \
		if (strncmp((e)->text, start, strlen(start)))                                           \
			failed("%s: \"%s\" does not start with \"%s\"", #call, (e)->text, start);       \
	} while (0)

#endif
