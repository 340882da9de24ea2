/*
 * Figures of the store's metadata: bench_store [IMAGES] [DIRECTORY]
 * The images are made in memory (/dev/shm) and then copied into DIRECTORY (default
 * /tmp), so that durable writes are measured on a disk. Prints, asserts nothing.
 */
#include "tests/unit/store/fixture.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include "proto/runtime/clock.h"

enum { REPEAT = 9, PAGE = 100 };

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
	qsort(values, n, sizeof *values, by_value);
	return values[n / 2];
}

static void fill(struct store *s, long images)
{
	for (long i = 0; i < images; i++) {
		char name[32], ref[64];

		snprintf(name, sizeof name, "image %ld", i);
		snprintf(ref, sizeof ref, "repo/app%ld:v1", i);
		make_image(s, &(struct image_spec){ .name = name,
						    .layers = { "base layer", "middle layer", "top layer" },
						    .refs = { ref },
						    .label = "a label of an ordinary length",
						    .created = 1500000000 + i });
	}
}

static int accept(void *arg, const struct image *image)
{
	*(size_t *)arg += image->n_names;
	return 1;
}

static double list_once(struct store *s, enum image_order order, size_t limit, bool all, size_t *ret_names)
{
	struct buf after = BUF_INIT(META_KEY_MAX);
	double start = now_ms();
	struct arena arena;
	struct err err = ERR_INIT;
	bool more = true;

	*ret_names = 0;
	arena_init(&arena, 1 << 28);
	while (more) {
		assert_ok(image_list(s, order, &after, limit, &arena, accept, ret_names, &more, &err), &err);
		arena_reset(&arena, 1 << 28);
		more = more && all;
	}
	arena_free(&arena);
	buf_free(&after);
	return now_ms() - start;
}

static void bench_list(struct store *s, const char *what, enum image_order order, size_t limit, bool all)
{
	double ms[REPEAT];
	size_t names = 0;

	for (int i = 0; i < REPEAT; i++)
		ms[i] = list_once(s, order, limit, all, &names);
	printf("%-34s %8.2f ms (%zu names)\n", what, median(ms, REPEAT), names);
}

static void bench_inspect(struct store *s, long images)
{
	double ms[REPEAT];

	for (int i = 0; i < REPEAT; i++) {
		CLEANUP(arena_free) struct arena arena = { .cap = 0 };
		struct err err = ERR_INIT;
		struct image image;
		char ref[64];
		bool by_id;
		double start = now_ms();

		snprintf(ref, sizeof ref, "repo/app%ld:v1", images / 2 + i % 3);
		arena_init(&arena, 1 << 24);
		assert_ok(image_resolve(s, ref, &arena, &image, &by_id, &err), &err);
		ms[i] = now_ms() - start;
	}
	printf("%-34s %8.3f ms\n", "resolve one name", median(ms, REPEAT));
}

static void bench_tag(struct store *s)
{
	enum { N = 51 };
	double tag[N], untag[N];
	struct err err = ERR_INIT;

	for (int i = 0; i < N; i++) {
		CLEANUP(arena_free) struct arena arena = { .cap = 0 };
		struct reference ref;
		struct image image;
		char text[64], *out;
		bool by_id;
		double start;

		arena_init(&arena, 1 << 24);
		snprintf(text, sizeof text, "tagged:%d", i);
		assert_ok(reference_parse(text, &ref, &err), &err);
		start = now_ms();
		assert_ok(image_resolve(s, "repo/app0:v1", &arena, &image, &by_id, &err), &err);
		assert_ok(image_tag(s, &image, &ref, clock_wall_ns(), &err), &err);
		tag[i] = now_ms() - start;
		start = now_ms();
		assert_ok(removal_text(s, text, false, false, &out, NULL, &err), &err);
		untag[i] = now_ms() - start;
		free(out);
	}
	printf("%-34s %8.2f ms\n", "tag, durable", median(tag, N));
	printf("%-34s %8.2f ms\n", "untag, durable", median(untag, N));
}

static void bench_open(const char *root)
{
	double ms[REPEAT];
	struct err err = ERR_INIT;

	for (int i = 0; i < REPEAT; i++) {
		double start = now_ms();
		struct store *s;

		assert_ok(store_open(root, &s, &err), &err);
		ms[i] = now_ms() - start;
		store_close(s);
	}
	printf("%-34s %8.2f ms\n", "open", median(ms, REPEAT));
}

static void bench_rest(struct store *s)
{
	struct err err = ERR_INIT;
	struct usage u;
	struct gc_result g;
	double start = now_ms();

	assert_ok(store_usage(s, &u, &err), &err);
	printf("%-34s %8.2f ms (%lld images, %lld blobs, %lld metadata bytes)\n", "usage", now_ms() - start,
	       (long long)u.image_count, (long long)u.blob_count, (long long)u.metadata_bytes);
	start = now_ms();
	printf("%-34s %lld images, %lld names", "counts", (long long)store_image_count(s),
	       (long long)store_name_count(s));
	printf(" %.2f ms\n", now_ms() - start);
	start = now_ms();
	assert_ok(gc_run(s, clock_wall_ns(), NULL, &g, &err), &err);
	printf("%-34s %8.2f ms (%lld blobs)\n", "gc_run with nothing to do", now_ms() - start, (long long)g.blobs);
}

static void copy(const char *from, const char *to)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		execlp("cp", "cp", "-a", from, to, (char *)NULL);
		_exit(127);
	}
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && !status);
}

int main(int argc, char **argv)
{
	long images = argc > 1 ? strtol(argv[1], NULL, 10) : 10000;
	char memory[64] = "/dev/shm/imaged-bench-XXXXXX", disk[256], root[300];
	struct err err = ERR_INIT;
	struct store *s;
	double start = now_ms();

	snprintf(disk, sizeof disk, "%s/imaged-bench-XXXXXX", argc > 2 ? argv[2] : "/tmp");
	assert_non_null(mkdtemp(memory));
	assert_non_null(mkdtemp(disk));
	snprintf(root, sizeof root, "%s/root", disk);
	assert_ok(store_open(memory, &s, &err), &err);
	fill(s, images);
	printf("%-34s %8.2f ms each\n", "publish in memory", (now_ms() - start) / (double)images);
	store_close(s);
	copy(memory, root);
	remove_tree(memory);
	sync();
	bench_open(root);
	assert_ok(store_open(root, &s, &err), &err);
	bench_list(s, "list, newest first, first page", IMAGE_ORDER_CREATED_DESC, PAGE, false);
	bench_list(s, "list, newest first, all", IMAGE_ORDER_CREATED_DESC, 1000, true);
	bench_list(s, "list, by name, first page", IMAGE_ORDER_NAME, PAGE, false);
	bench_list(s, "list, by name, all", IMAGE_ORDER_NAME, 1000, true);
	bench_inspect(s, images);
	bench_tag(s);
	bench_rest(s);
	store_close(s);
	remove_tree(disk);
	return 0;
}
