/*
 * Memory that is short: each allocation of an operation fails once. The operation
 * says so (or did without it), and the store is as sound as before.
 */
#include "tests/unit/store/fixture.h"

#include "proto/runtime/clock.h"

/* The linker leads our allocations here (--wrap); those of libraries stay. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *text);

static long countdown; /* 1: the next one fails; 0: none does */

static bool fails(void)
{
	return countdown && !--countdown;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

/* ---- operations ----------------------------------------------------------- */

static struct lease_id lease;
static struct image_spec spec = { .name = "a", .n_layers = 3, .refs = { "x", "y" }, .index = "index", .label = "x" };

static int publish(struct store *s, struct err *err)
{
	struct made made;

	return make_image_code(s, &spec, &made, err);
}

static int resolve(struct store *s, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct image image;
	bool by_id;

	arena_init(&arena, 1 << 20);
	return image_resolve(s, "keep", &arena, &image, &by_id, err);
}

static int accept(UNUSED void *arg, UNUSED const struct image *image)
{
	return 1;
}

static int list(struct store *s, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	CLEANUP(buf_free) struct buf after = BUF_INIT(META_KEY_MAX);
	bool more;

	arena_init(&arena, 1 << 20);
	return image_list(s, IMAGE_ORDER_NAME, &after, 10, &arena, accept, NULL, &more, err);
}

static int remove_it(struct store *s, struct err *err)
{
	struct removal r = { .now_ns = 1, .force = true };
	int code = image_remove(s, "x", &r, err);

	if (code == OK || code == E_NO_SUCH_IMAGE)
		code = image_remove(s, "y", &r, err);
	return code == E_NO_SUCH_IMAGE ? OK : code; /* a try before got that far */
}

static int collect(struct store *s, struct err *err)
{
	struct gc_result g;

	return gc_run(s, clock_wall_ns() + 2LL * LEASE_SECONDS * 1000000000, NULL, &g, err);
}

static int check(struct store *s, struct err *err)
{
	struct check c = { .quick = false };

	return store_check(s, &c, NULL, err);
}

static int usage(struct store *s, struct err *err)
{
	struct usage u;

	return store_usage(s, &u, err);
}

static int hold(struct store *s, struct err *err)
{
	struct digest d = digest_of_text("x");
	int r = lease_create(s, "x", &d, 1, &lease, err);

	return r == OK ? lease_release(s, &lease, err) : r;
}

static int reopen(UNUSED struct store *s, struct err *err)
{
	char root[] = "/tmp/imaged-test-XXXXXX";
	struct store *other = NULL;
	int r;

	assert_non_null(mkdtemp(root));
	r = store_open(root, &other, err);
	store_close(other);
	remove_tree(root);
	return r;
}

/* ---- the sweep ------------------------------------------------------------ */

static void sweep(struct store *s, const char *what, int (*run)(struct store *s, struct err *err))
{
	long n = 0;
	int r;

	do {
		struct err err = ERR_INIT;

		countdown = ++n;
		r = run(s, &err);
		if (countdown) { /* it needs no more than n - 1 */
			countdown = 0;
			assert_ok(r, &err);
			break;
		}
		if (r != OK && r != E_NO_MEMORY) {
			print_error("%s, allocation %ld: %s: %s\n", what, n, err_reason(r), err.text);
			_fail(__FILE__, __LINE__);
		}
	} while (n < 5000);
	assert_true(n > 1 && n < 5000);
}

static void each_operation_survives_each_failed_allocation(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;
	struct err err = ERR_INIT;

	make_image(s, &(struct image_spec){ .name = "keep", .layers = { "keep" }, .refs = { "keep" } });
	sweep(s, "publish", publish);
	sweep(s, "resolve", resolve);
	sweep(s, "list", list);
	sweep(s, "usage", usage);
	sweep(s, "check", check);
	sweep(s, "remove", remove_it);
	sweep(s, "lease", hold);
	sweep(s, "collect", collect);
	sweep(s, "open", reopen);
	assert_ok(collect(s, &err), &err);
	assert_clean(s);
	assert_found(s, "keep");
	assert_null(names_text(s, "x"));
	assert_false(blob_is_there(s, "config a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_operation_survives_each_failed_allocation, fixture_setup,
						fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
