/*
 * The worker's walk over an archive on hostile bytes: each answer must pass the daemon's
 * check, lead forward, and say what the count of the same stream says.
 *
 * Input: a byte, then the archive. With the byte's low bit set, each block gets the
 * header checksum that it should have, or mutated headers would hardly be read.
 */
#include "service/layer/tar_count.h"
#include "service/layer/tar_members.h"
#include "tests/fuzz/tar_checksums.h"

enum { ENTRIES = 1000000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sums {
	uint64_t entries, bytes;
	bool whole;
};

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_text(const char *text)
{
	for (; *text; text++)
		require(*text >= ' ' && *text <= '~');
}

static void take_entry(const struct walk_answer *a, struct sums *s)
{
	require(strlen(a->name) <= WALK_NAME_MAX && strlen(a->link) <= WALK_NAME_MAX);
	s->entries++;
	if (a->kind == TAR_ENTRY_REGULAR)
		s->bytes += a->size;
}

/* Walks to the end, a failure, or past the bytes there are. */
static struct sums walk(struct bytes tar)
{
	static struct walk_request request;
	static struct walk_answer answer;
	struct tar_members members;
	struct sums s = { 0 };
	uint64_t at = 0;

	tar_members_init(&members);
	answer.type = WALK_NEED;
	while (answer.type != WALK_FAILED && answer.type != WALK_END && at <= tar.len &&
	       tar.len - at >= WALK_BLOCK_BYTES) {
		walk_request_init(&request, at, tar.data + at);
		require(walk_request_check(&request, sizeof request, NULL) == OK);
		tar_members_take(&members, &request, &answer);
		require(walk_answer_check(&answer, sizeof answer, at, NULL) == OK);
		if (answer.type == WALK_ENTRY)
			take_entry(&answer, &s);
		if (answer.type == WALK_FAILED)
			check_text(answer.name);
		require(answer.type == WALK_FAILED || answer.next > at);
		at = answer.next;
	}
	s.whole = answer.type == WALK_END;
	tar_members_free(&members);
	return s;
}

static void compare_with_count(struct bytes tar, const struct sums *s)
{
	struct tar_count count;

	tar_count_init(&count, ENTRIES, INT64_MAX);
	if (tar_count_feed(&count, tar.data, tar.len, NULL) == OK && tar_count_finish(&count, NULL) == OK)
		require(count.entries == s->entries && count.files_bytes == s->bytes);
	tar_count_free(&count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *tar = size ? malloc(size) : NULL;
	struct sums s;

	if (!tar)
		return 0;
	memcpy(tar, data + 1, size - 1);
	if (data[0] & 1)
		repair_checksums(tar, size - 1);
	s = walk((struct bytes){ tar, size - 1 });
	if (s.whole)
		compare_with_count((struct bytes){ tar, size - 1 }, &s);
	free(tar);
	return 0;
}
