/*
 * Input: Dockerfile instructions that change the configuration, one a line. Whatever
 * they make is a configuration that can be written, and is the same when it is read and
 * written again.
 */
#include "service/build/apply.h"
#include "service/build/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static int apply_line(const char *line, struct build_stage *stage)
{
	CLEANUP(arena_free) struct arena a;
	struct instruction i;
	struct err err = ERR_INIT;
	int r;

	arena_init(&a, 16 * 1024 * 1024);
	r = instruction_parse(line, stage->escape, &a, &i, &err);
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
	CLEANUP(buf_free) struct buf line = BUF_INIT(1024 * 1024);
	CLEANUP(freep) char *text = malloc(size + 1);
	struct build_stage stage = { .image = &image, .escape = size && data[0] == '`' ? '`' : '\\' };
	struct lines l;

	require(text != NULL);
	memcpy(text, data, size);
	text[size] = 0;
	l = lines_of(text, stage.escape);
	while (lines_next(&l, &line) > 0)
		if (apply_line(buf_text(&line), &stage) == E_LIMIT)
			break;
	check(&image);
	return 0;
}
