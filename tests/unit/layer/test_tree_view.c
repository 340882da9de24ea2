/* A merged tree by paths: what the walk of the same layers shows, found one by one. */
#include "service/tree/view.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include "service/layer/erofs/writer.h"
#include "tests/unit/layer/craft.h"

enum { LAYERS_MAX = 8, MANY = 20000 };

/* "d:NAME", "f:NAME", "l:NAME:TARGET"; of a file its name is what is in it. */
static void add(struct buf *tar, const char *what)
{
	const char *name = what + 2, *target = *what == 'l' ? strchr(name, ':') : NULL;
	char cut[256];

	if (strlen(name) >= sizeof cut)
		failed("a name too long");
	snprintf(cut, sizeof cut, "%.*s", target ? (int)(target - name) : (int)strlen(name), name);
	craft_header(tar, &(struct craft_entry){ .name = cut,
						 .type = *what == 'd'	? '5'
							 : *what == 'l' ? '2'
									: '0',
						 .size = *what == 'f' ? (int64_t)strlen(cut) : 0,
						 .link = target ? target + 1 : NULL });
	if (*what == 'f')
		craft_text(tar, cut);
}

static int write_image(struct bytes tar)
{
	CLEANUP(erofs_writer_freep) struct erofs_writer *w = NULL;
	struct erofs_limits limits = erofs_limits_default();
	struct erofs_result result;
	struct err err = ERR_INIT;
	int fd = memfd_create("image", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_ok(erofs_writer_new(fd, &limits, &w, &err), &err);
	assert_ok(erofs_writer_feed(w, tar.data, tar.len, &err), &err);
	assert_ok(erofs_writer_finish(w, &result, &err), &err);
	return fd;
}

/* Layers of strings as above, each ended by NULL, lowest first; all ended by NULL. */
static struct tree_view *view_of(const char *const *const *layers)
{
	struct tree_view *v = NULL;
	struct err err = ERR_INIT;
	int fds[LAYERS_MAX];
	size_t n = 0;

	for (; layers[n]; n++) {
		CLEANUP(buf_free) struct buf tar = BUF_INIT(CRAFT_MAX);

		for (const char *const *what = layers[n]; *what; what++)
			add(&tar, *what);
		craft_end(&tar);
		fds[n] = write_image(buf_bytes(&tar));
	}
	assert_ok(tree_view_open(fds, n, false, NULL, &v, &err), &err);
	return v;
}

#define VIEW CLEANUP(tree_view_closep) struct tree_view

static const char *const base[] = {
	"d:etc",    "f:etc/passwd", "d:usr",   "d:usr/bin", "f:usr/bin/sh", "l:bin:usr/bin",	 "d:gone",
	"f:gone/x", "d:was",	    "f:was/a", "f:was/b",   "l:abs:/etc",   "l:up:../../../usr", NULL
};
static const char *const above[] = { "f:etc/group",	  "f:.wh.gone",	 "d:was",	"f:was/.wh..wh..opq", "f:was/c",
				     "f:usr/.wh.nothing", "l:loop:pool", "l:pool:loop", "l:dead:no/where",    NULL };
static const char *const *const two[] = { base, above, NULL };

/* ---- names --------------------------------------------------------------------------------- */

static void assert_there(struct tree_view *v, const char *path, uint32_t type, size_t layer)
{
	struct tree_entry e;
	struct err err = ERR_INIT;

	assert_ok(tree_view_lookup(v, bytes_of(path), &e, &err), &err);
	assert_int_equal(e.node.mode & S_IFMT, type);
	assert_int_equal(e.layer, layer);
}

static void assert_missing(struct tree_view *v, const char *path)
{
	struct tree_entry e;
	struct err err = ERR_INIT;

	assert_fails(tree_view_lookup(v, bytes_of(path), &e, &err), &err, E_NOT_FOUND, path);
}

static void looks_up_merged_names(void **state UNUSED)
{
	VIEW *v = view_of(two);

	assert_there(v, "", S_IFDIR, 1);
	assert_there(v, "etc", S_IFDIR, 1);
	assert_there(v, "etc/passwd", S_IFREG, 0);
	assert_there(v, "etc/group", S_IFREG, 1);
	assert_there(v, "bin", S_IFLNK, 0);
	assert_there(v, "usr/bin/sh", S_IFREG, 0);
	assert_there(v, "was/c", S_IFREG, 1);
}

static void misses_what_is_hidden(void **state UNUSED)
{
	static const char *const missing[] = { "gone",	 "gone/x",     "was/a",	       "was/.wh..wh..opq",
					       "nosuch", "etc/nosuch", "etc/passwd/x", "bin/sh",
					       ".",	 "..",	       "etc/..",       "usr/nothing" };
	VIEW *v = view_of(two);

	for (size_t i = 0; i < ARRAY_LEN(missing); i++)
		assert_missing(v, missing[i]);
	assert_there(v, "etc/passwd", S_IFREG, 0); /* still */
}

static void finds_each_of_many_names(void **state UNUSED)
{
	CLEANUP(buf_free) struct buf tar = BUF_INIT(CRAFT_MAX);
	VIEW *v = NULL;
	struct err err = ERR_INIT;
	char name[32];
	int fd;

	for (unsigned i = 0; i < MANY; i += 2) {
		snprintf(name, sizeof name, "f:d/%05u", i);
		add(&tar, name);
	}
	craft_end(&tar);
	fd = write_image(buf_bytes(&tar));
	assert_ok(tree_view_open(&fd, 1, false, NULL, &v, &err), &err);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "d/%05u", i);
		if (i % 2)
			assert_missing(v, name);
		else
			assert_there(v, name, S_IFREG, 0);
	}
	assert_missing(v, "d/!");
	assert_missing(v, "d/~");
}

static void has_an_empty_root_without_layers(void **state UNUSED)
{
	static const char *const *const none[] = { NULL };
	CLEANUP(tree_closep) struct tree *walk = NULL;
	const struct tree_entry *shown;
	struct err err = ERR_INIT;
	struct tree_entry e;
	VIEW *v = view_of(none);

	assert_ok(tree_view_lookup(v, bytes_of(""), &e, &err), &err);
	assert_int_equal(e.node.mode, S_IFDIR | 0755);
	assert_missing(v, "x");
	assert_ok(tree_view_walk(v, bytes_of(""), &walk, &err), &err);
	assert_ok(tree_next(walk, &shown, &err), &err);
	assert_null(shown);
}

/* ---- links --------------------------------------------------------------------------------- */

static void assert_resolved(struct tree_view *v, const char *path, bool follow_last, const char *wanted, bool found)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(TREE_PATH_MAX);
	struct err err = ERR_INIT;
	struct tree_entry e;
	bool is;

	assert_ok(tree_view_resolve(v, bytes_of(path), follow_last, &out, &is, &e, &err), &err);
	assert_string_equal(buf_text(&out), wanted);
	assert_int_equal(is, found);
}

static void resolves_within_the_root(void **state UNUSED)
{
	VIEW *v = view_of(two);

	assert_resolved(v, "/bin/sh", true, "usr/bin/sh", true);
	assert_resolved(v, "bin", true, "usr/bin", true);
	assert_resolved(v, "bin", false, "bin", true);
	assert_resolved(v, "bin/", false, "bin", true);
	assert_resolved(v, "abs/passwd", true, "etc/passwd", true);
	assert_resolved(v, "up/bin/../../../../etc/./passwd", true, "etc/passwd", true);
	assert_resolved(v, "/../..//", true, "", true);
	assert_resolved(v, "bin/..", true, "usr", true);
	assert_resolved(v, "dead/x/y", true, "no/where/x/y", false);
	assert_resolved(v, "etc/passwd/x", true, "etc/passwd/x", false);
	assert_resolved(v, "nosuch/../etc", true, "etc", true);
}

static void ends_links_that_go_round(void **state UNUSED)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(TREE_PATH_MAX);
	struct err err = ERR_INIT;
	struct tree_entry e;
	bool found;
	VIEW *v = view_of(two);

	assert_fails(tree_view_resolve(v, bytes_of("loop/x"), true, &out, &found, &e, &err), &err, E_LIMIT,
		     "too many levels of symbolic links");
	assert_resolved(v, "loop", false, "loop", true);
}

/* ---- walks --------------------------------------------------------------------------------- */

/* Names that come, with a space behind each; `skipped` is not gone into. */
static void assert_walk(struct tree_view *v, const char *directory, const char *skipped, const char *wanted)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(65536);
	CLEANUP(tree_closep) struct tree *walk = NULL;
	const struct tree_entry *e = NULL;
	struct err err = ERR_INIT;

	assert_ok(tree_view_walk(v, bytes_of(directory), &walk, &err), &err);
	for (;;) {
		struct tree_entry other;

		assert_ok(tree_next(walk, &e, &err), &err);
		if (!e)
			break;
		buf_append(&out, e->path.data, e->path.len);
		buf_putc(&out, ' ');
		if (e->path.len == strlen(skipped) && e->path.len && !memcmp(e->path.data, skipped, e->path.len))
			tree_skip(walk);
		assert_ok(tree_view_lookup(v, bytes_of("etc/passwd"), &other, &err), &err); /* in between */
	}
	assert_string_equal(buf_text(&out), wanted);
}

static void walks_what_is_below(void **state UNUSED)
{
	struct tree *walk;
	struct err err = ERR_INIT;
	VIEW *v = view_of(two);

	assert_walk(v, "etc", "", " group passwd ");
	assert_walk(v, "was", "", " c ");
	assert_walk(v, "", "usr", " abs bin dead etc etc/group etc/passwd loop pool up usr was was/c ");
	assert_walk(v, "usr", "", " bin bin/sh ");
	assert_fails(tree_view_walk(v, bytes_of("etc/passwd"), &walk, &err), &err, E_NOT_FOUND, "etc/passwd");
	assert_fails(tree_view_walk(v, bytes_of("gone"), &walk, &err), &err, E_NOT_FOUND, "gone");
}

/* ---- files --------------------------------------------------------------------------------- */

static void reads_small_files(void **state UNUSED)
{
	CLEANUP(freep) char *text = NULL;
	struct err err = ERR_INIT;
	struct tree_entry e;
	size_t len;
	VIEW *v = view_of(two);

	assert_ok(tree_view_lookup(v, bytes_of("etc/passwd"), &e, &err), &err);
	assert_ok(tree_read_all(&e, 100, &text, &len, &err), &err);
	assert_string_equal(text, "etc/passwd");
	assert_int_equal(len, strlen(text));
	assert_fails(tree_read_all(&e, 3, &text, &len, &err), &err, E_LIMIT, "more than 3 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looks_up_merged_names),    cmocka_unit_test(misses_what_is_hidden),
		cmocka_unit_test(finds_each_of_many_names), cmocka_unit_test(has_an_empty_root_without_layers),
		cmocka_unit_test(resolves_within_the_root), cmocka_unit_test(ends_links_that_go_round),
		cmocka_unit_test(walks_what_is_below),	    cmocka_unit_test(reads_small_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
