/*
 * Stores in directories of their own, and images made of a few bytes.
 */
#ifndef TESTS_UNIT_STORE_FIXTURE_H
#define TESTS_UNIT_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* ours is another one */

#include "store/check.h"
#include "store/content/ingest.h"
#include "store/image/events.h"
#include "store/image/image.h"
#include "store/usage.h"

#define assert_ok(expression, err)                                                                 \
	do {                                                                                       \
		int code_ = (expression);                                                          \
		if (code_ != OK) {                                                                 \
			print_error("%s: %s (%s)\n", #expression, err_reason(code_), (err)->text); \
			_fail(__FILE__, __LINE__);                                                 \
		}                                                                                  \
	} while (0)

#define assert_code(expression, code) assert_string_equal(err_reason(expression), err_reason(code))

enum { IMAGE_LAYERS_MAX = 500, ROOT_MAX = 128 };

struct fixture {
	char root[ROOT_MAX];
	struct store *store;
	bool mounted; /* root lies on a tmpfs of its own */
};

/* cmocka set-up and tear-down: *state is a struct fixture with an open store. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
/* The same on a tmpfs of 4 MiB; *state is NULL when it cannot be mounted. */
int fixture_setup_small(void **state);
void fixture_reopen(struct fixture *f);
void remove_tree(const char *path);
/* "ROOT/…" in a static buffer. */
const char *fixture_path(const struct fixture *f, const char *relative);

/* Digest of a text, which stands for the content of a blob. */
struct digest digest_of_text(const char *text);
void add_blob(struct store *s, const char *text);

/* What an image is made of. Blobs are texts: "layer SEED", "config SEED", …  */
struct image_spec {
	const char *name;      /* makes config and manifest unique */
	const char *manifest;  /* another manifest of the same config; NULL: "" */
	const char *layers[8]; /* texts; until the first NULL */
	size_t n_layers;       /* when layers[0] is NULL: that many, "NAME layer I" */
	const char *refs[12];  /* names, as users write them */
	const char *index;     /* text of an index; NULL: none */
	int64_t created;       /* seconds; 0: none */
	int64_t files_size;    /* of each layer; 0: 1000 and the length of its text */
	const char *label;     /* value of the label "test"; NULL: none */
	const struct lease_id *lease;
};

struct made {
	struct digest manifest, config, index;
};

/* Commits the blobs and publishes. */
int make_image_code(struct store *s, const struct image_spec *spec, struct made *ret_made, struct err *err);
struct made make_image(struct store *s, const struct image_spec *spec);

/* Everything that check finds, one line each: "KIND detail". */
char *check_text(struct store *s, bool quick);
void assert_clean(struct store *s);

/* "name name" of an image, familiar; the caller frees. NULL: no such image. */
char *names_text(struct store *s, const char *text);

/* Fails unless the text leads to an image. */
void assert_found(struct store *s, const char *text);

/* What a removal reports, one item a line, as docker's client prints it. */
int removal_text(struct store *s, const char *text, bool force, bool dry_run, char **ret_text, int64_t *ret_freed,
		 struct err *err);

bool blob_is_there(struct store *s, const char *text);

#endif
