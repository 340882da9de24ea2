/*
 * Input: Dockerfile instructions that change the configuration, one a line. Whatever
 * they make is a configuration that can be written, and is the same when it is read and
 * written again.
 */
#include "service/build/apply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static int apply_node(const struct node *n, char escape, struct arena *a, struct build_stage *stage)
{
	struct err err = ERR_INIT;
	struct instruction i;
	int r = instruction_of(n, escape, a, &i, &err);

	if (r == OK && !instruction_is_change(i.kind))
		return E_INVALID;
	if (r == OK)
		r = instruction_apply(&i, stage, &err);
	require(r == err.code);
	require(r == OK || r == E_INVALID || r == E_LIMIT);
	return r;
}

static void check(const struct image_config *image)
{
	CLEANUP(buf_free) struct buf first = BUF_INIT(CONFIG_BYTES_MAX), second = BUF_INIT(CONFIG_BYTES_MAX);
	CLEANUP(image_config_free) struct image_config again = { .n_history = 0 };
	struct err err = ERR_INIT;

	if (image_config_write(image, &first, &err) < 0) {
		require(err.code == E_INVALID || err.code == E_LIMIT);
		return;
	}
	if (image_config_parse(buf_bytes(&first), &again, &err) < 0) {
		require(err.code == E_BAD_CONTENT && first.len > 1024 * 1024); /* a value that is too large */
		return;
	}
	require(image_config_write(&again, &second, &err) == OK);
	require(first.len == second.len && !memcmp(first.data, second.data, first.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(image_config_free) struct image_config image = { .n_history = 0 };
	CLEANUP(arena_free) struct arena a;
	struct build_stage stage;
	struct place place;
	struct tree tree;
	int r;

	arena_init(&a, DOCKERFILE_ARENA_MAX);
	r = tree_parse((struct bytes){ data, size }, &a, &tree, &place, NULL);
	require(r == OK || r == E_INVALID || r == E_LIMIT);
	if (r != OK)
		return 0;
	stage_init(&stage, &image, tree.escape);
	for (size_t i = 0; i < tree.n; i++)
		if (apply_node(&tree.nodes[i], tree.escape, &a, &stage) == E_LIMIT)
			break;
	check(&image);
	return 0;
}
