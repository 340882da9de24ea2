/*
 * Input: a .dockerignore file, a NUL, a path. What it says of the path agrees with what it
 * says of the directories above: a walk that leaves out excluded directories, but for those
 * where an exception could match below, finds every file that is not excluded.
 */
#include "store/types/ignore.h"
#include "store/types/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static const struct ignore_pattern *walk(const struct ignore *g, struct bytes path)
{
	CLEANUP(freep) bool *both = calloc(2 * g->n + 1, sizeof *both);
	bool *above = NULL, *next = both;

	require(both != NULL);
	if (bytes_are(path, "."))
		return NULL;
	for (size_t i = 1; i < path.len; i++)
		if (path.data[i] == '/') {
			ignore_match_in(g, bytes_first(path, i), above, next);
			above = next;
			next = above == both ? both + g->n : both;
		}
	return ignore_match_in(g, path, above, NULL);
}

static void check_path(const struct ignore *g, struct bytes path)
{
	const struct ignore_pattern *decided = ignore_match(g, path);
	bool excluded = ignore_excludes(g, path);

	require(excluded == (decided && !decided->exception));
	require(walk(g, path) == decided);
	for (size_t i = 1; i < path.len; i++) {
		struct bytes above = bytes_first(path, i);

		if (path.data[i] != '/' || !ignore_excludes(g, above))
			continue;
		require(excluded || (g->exceptions && ignore_may_except_below(g, above)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(64 * 1024);
	CLEANUP(arena_free) struct arena a;
	struct bytes text = { data, size };
	size_t nul = bytes_find(text, 0);
	struct err err = ERR_INIT;
	struct ignore g;
	int r;

	arena_init(&a, 64 * 1024 * 1024);
	r = ignore_parse(bytes_first(text, nul), &a, &g, &err);
	require(r == OK || ((r == E_INVALID || r == E_LIMIT || r == E_NO_MEMORY) && err.code == r));
	if (r != OK || nul == size || !path_clean(bytes_from(text, nul + 1), &path))
		return 0;
	if (path.data[0] != '/' && strncmp(buf_text(&path), "..", 2) != 0 && path.len < 256)
		check_path(&g, buf_bytes(&path));
	return 0;
}
