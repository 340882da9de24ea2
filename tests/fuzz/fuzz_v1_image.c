/*
 * Documents of images in docker's first format.
 *
 * Input: a byte that picks "repositories", or a document and (after its first newline) the
 * configuration of its parent; then the bytes. A configuration that is made of them can be
 * read again, and has one layer and one step of history more.
 */
#include "store/types/v1_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_tags(struct bytes json)
{
	CLEANUP(v1_tags_free) struct v1_tags t = { .n = 0 };

	if (v1_tags_parse(json, &t, NULL) != OK)
		return;
	require(t.n <= V1_TAGS_MAX);
	for (size_t i = 0; i < t.n; i++)
		require(strchr(t.items[i].name, ':') && t.items[i].id);
}

static void check_place(struct bytes json)
{
	struct v1_image image;

	if (v1_image_parse(json, &image, NULL) == OK)
		require(strlen(image.parent) <= V1_NAME_MAX && !strchr(image.parent, '/') &&
			strcmp(image.parent, "..") != 0);
}

static void check_config(struct bytes json, struct bytes below)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(CONFIG_BYTES_MAX);
	CLEANUP(image_config_free) struct image_config before = { .n_history = 0 }, after = { .n_history = 0 };
	struct digest diff_id = { .algorithm = DIGEST_SHA256 };

	if (below.len && image_config_parse(below, &before, NULL) != OK)
		return;
	if (v1_config_write(json, below, &diff_id, &out, NULL) != OK)
		return;
	if (image_config_parse(buf_bytes(&out), &after, NULL) != OK) /* past a limit of either */
		return;
	require(after.n_diff_ids == before.n_diff_ids + 1 && after.n_history == before.n_history + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *newline;
	struct bytes first, rest;

	if (!size)
		return 0;
	first = (struct bytes){ data + 1, size - 1 };
	if (data[0] % 2) {
		check_tags(first);
		return 0;
	}
	newline = first.len ? memchr(first.data, '\n', first.len) : NULL;
	rest = newline ? (struct bytes){ newline + 1, (size_t)(first.data + first.len - newline) - 1 }
		       : (struct bytes){ NULL, 0 };
	first.len -= newline ? rest.len + 1 : 0;
	check_place(first);
	check_config(first, rest);
	return 0;
}
