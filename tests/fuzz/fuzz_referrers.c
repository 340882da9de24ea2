/*
 * Input: one byte that picks a filter, then a list of referrers. What is read keeps the
 * filter and the limits; an index that one more is written into can be read again, lists
 * one more, and then lists it already.
 */
#include "store/types/referrers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char signature[] = "{\"schemaVersion\":2,\"artifactType\":\"a/b\",\"config\":{},\"layers\":[],"
				"\"annotations\":{\"c\":\"d\"}}";

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_entries(const struct referrers *list, const char *type)
{
	require(list->n <= INDEX_ENTRIES_MAX);
	for (size_t i = 0; i < list->n; i++) {
		const struct referrer *r = &list->items[i];

		require(digest_is_set(&r->descriptor.digest) && r->descriptor.size >= 0);
		require(!type || !strcmp(type, r->artifact_type));
		for (size_t k = 0; k < r->n_annotations; k++)
			require(r->annotations[k].key && r->annotations[k].value);
	}
}

static void check_written(struct bytes index, size_t before)
{
	CLEANUP(referrers_free) struct referrers list = { .n = 0 };
	CLEANUP(buf_free) struct buf out = BUF_INIT(MANIFEST_BYTES_MAX), again = BUF_INIT(MANIFEST_BYTES_MAX);
	struct digest d;
	bool listed = false;

	digest_of(DIGEST_SHA256, bytes_of(signature), &d);
	if (referrers_index_add(index, bytes_of(signature), &d, &out, &listed, NULL) < 0 || listed)
		return;
	require(referrers_add(&list, buf_bytes(&out), NULL, NULL) == OK && list.n == before + 1);
	require(referrers_index_add(buf_bytes(&out), bytes_of(signature), &d, &again, &listed, NULL) == OK && listed);
	require(again.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(referrers_free) struct referrers list = { .n = 0 }, some = { .n = 0 };
	const char *type = size && data[0] & 1 ? "application/spdx+json" : "a/b";
	struct bytes json;

	if (!size)
		return 0;
	json = (struct bytes){ data + 1, size - 1 };
	if (referrers_add(&list, json, NULL, NULL) < 0)
		return 0;
	check_entries(&list, NULL);
	require(referrers_add(&some, json, type, NULL) == OK && some.n <= list.n);
	check_entries(&some, type);
	check_written(json, list.n);
	return 0;
}
