#include "store/content/journal.h"

enum {
	AT_MAGIC = 0,
	AT_VERSION = 8,
	AT_SEQUENCE = 16,
	AT_BOOT_ID = 24,
	AT_DIGEST = 64,
	AT_SIZE = 192,
	AT_SYNCED = 200,
	AT_ETAG = 208,
	AT_STATE_LEN = 464,
	AT_STATE = 468,
	AT_RUNS_LEN = 724,
	AT_RUNS = 728,
	RUN_BYTES = 16,
	AT_SUM = 992,
	SUM_BYTES = 32,
};

_Static_assert(AT_BOOT_ID + BOOT_ID_MAX <= AT_DIGEST, "slot layout");
_Static_assert(AT_DIGEST + DIGEST_KEY_MAX <= AT_SIZE, "slot layout");
_Static_assert(AT_ETAG + INGEST_ETAG_MAX <= AT_STATE_LEN, "slot layout");
_Static_assert(AT_STATE + HASHER_STATE_MAX <= AT_RUNS_LEN, "slot layout");
_Static_assert(AT_RUNS + RUNS_MAX * RUN_BYTES <= AT_SUM, "slot layout");
_Static_assert(AT_SUM + SUM_BYTES == JOURNAL_SLOT, "slot layout");

static const char magic[8] = "imgdjrnl";

static void put_le(uint8_t *at, uint64_t v, size_t len)
{
	for (size_t i = 0; i < len; i++, v >>= 8)
		at[i] = (uint8_t)v;
}

static uint64_t get_le(const uint8_t *at, size_t len)
{
	uint64_t v = 0;

	for (size_t i = len; i-- > 0;)
		v = v << 8 | at[i];
	return v;
}

static void encode_runs(const struct runs *r, uint8_t *out)
{
	put_le(out + AT_RUNS_LEN, r->n, 4);
	for (size_t i = 0; i < r->n; i++) {
		put_le(out + AT_RUNS + i * RUN_BYTES, (uint64_t)r->list[i].from, 8);
		put_le(out + AT_RUNS + i * RUN_BYTES + 8, (uint64_t)r->list[i].to, 8);
	}
}

static bool decode_runs(const uint8_t *slot, int64_t size, struct runs *ret_runs)
{
	size_t n = get_le(slot + AT_RUNS_LEN, 4);

	if (n > RUNS_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		ret_runs->list[i].from = (int64_t)get_le(slot + AT_RUNS + i * RUN_BYTES, 8);
		ret_runs->list[i].to = (int64_t)get_le(slot + AT_RUNS + i * RUN_BYTES + 8, 8);
	}
	ret_runs->n = n;
	return runs_valid(ret_runs, size >= 0 ? size : INT64_MAX);
}

void journal_encode(const struct journal *j, uint8_t out[JOURNAL_SLOT])
{
	struct digest sum;
	size_t state_len = 0;

	memset(out, 0, JOURNAL_SLOT);
	memcpy(out + AT_MAGIC, magic, sizeof magic);
	put_le(out + AT_VERSION, j->scattered ? JOURNAL_VERSION_RUNS : JOURNAL_VERSION, 4);
	put_le(out + AT_SEQUENCE, j->sequence, 8);
	memcpy(out + AT_BOOT_ID, j->boot_id, BOOT_ID_MAX);
	digest_to_key(&j->digest, out + AT_DIGEST);
	put_le(out + AT_SIZE, (uint64_t)j->size, 8);
	put_le(out + AT_SYNCED, (uint64_t)j->synced, 8);
	memcpy(out + AT_ETAG, j->etag, INGEST_ETAG_MAX);
	if (!hasher_save(&j->hasher, out + AT_STATE, &state_len))
		state_len = 0; /* reads as a slot that counts for nothing */
	put_le(out + AT_STATE_LEN, state_len, 4);
	if (j->scattered)
		encode_runs(&j->runs, out);
	digest_of(DIGEST_SHA256, (struct bytes){ out, AT_SUM }, &sum);
	memcpy(out + AT_SUM, sum.bytes, SUM_BYTES);
}

static bool is_whole(const uint8_t *slot)
{
	struct digest sum;

	digest_of(DIGEST_SHA256, (struct bytes){ slot, AT_SUM }, &sum);
	return !memcmp(slot + AT_MAGIC, magic, sizeof magic) && !memcmp(slot + AT_SUM, sum.bytes, SUM_BYTES);
}

static bool decode_digest(const uint8_t *at, struct digest *ret_digest)
{
	size_t len = at[0] == DIGEST_SHA256 ? 33 : DIGEST_KEY_MAX;

	return digest_from_key((struct bytes){ at, len }, ret_digest);
}

bool journal_decode(const uint8_t slot[JOURNAL_SLOT], struct journal *ret_journal)
{
	struct journal j = { 0 };
	uint64_t version = get_le(slot + AT_VERSION, 4);
	size_t state_len;

	if (version != JOURNAL_VERSION && version != JOURNAL_VERSION_RUNS)
		return false;
	if (!is_whole(slot) || slot[AT_BOOT_ID + BOOT_ID_MAX - 1] || slot[AT_ETAG + INGEST_ETAG_MAX - 1])
		return false;
	j.sequence = get_le(slot + AT_SEQUENCE, 8);
	memcpy(j.boot_id, slot + AT_BOOT_ID, BOOT_ID_MAX);
	memcpy(j.etag, slot + AT_ETAG, INGEST_ETAG_MAX);
	j.size = (int64_t)get_le(slot + AT_SIZE, 8);
	j.synced = (int64_t)get_le(slot + AT_SYNCED, 8);
	state_len = get_le(slot + AT_STATE_LEN, 4);
	if (!decode_digest(slot + AT_DIGEST, &j.digest) || j.size < -1 || j.synced < 0 ||
	    (j.size >= 0 && j.synced > j.size) || state_len > HASHER_STATE_MAX)
		return false;
	if (hasher_load(&j.hasher, (struct bytes){ slot + AT_STATE, state_len }, NULL) != OK ||
	    j.hasher.algorithm != j.digest.algorithm || j.hasher.length != (uint64_t)j.synced)
		return false;
	j.scattered = version == JOURNAL_VERSION_RUNS;
	if (j.scattered && !decode_runs(slot, j.size, &j.runs))
		return false;
	*ret_journal = j;
	return true;
}

bool journal_write(int fd, const struct journal *j)
{
	uint8_t slot[JOURNAL_SLOT];
	ssize_t n;

	journal_encode(j, slot);
	n = pwrite(fd, slot, sizeof slot, (off_t)(j->sequence % 2) * JOURNAL_SLOT);
	if (n >= 0 && n != JOURNAL_SLOT)
		errno = ENOSPC;
	return n == JOURNAL_SLOT;
}

bool journal_read(int fd, struct journal *ret_journal)
{
	bool found = false;

	for (int i = 0; i < 2; i++) {
		uint8_t slot[JOURNAL_SLOT];
		struct journal j;

		if (pread(fd, slot, sizeof slot, (off_t)i * JOURNAL_SLOT) != JOURNAL_SLOT || !journal_decode(slot, &j))
			continue;
		if (found && j.sequence <= ret_journal->sequence)
			continue;
		*ret_journal = j;
		found = true;
	}
	return found;
}
