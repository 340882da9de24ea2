/* Slots of an ingest's journal: what decodes encodes to the same bytes. A checksum
 * guards the slot, so the input is the part before it. */
#include "store/content/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { SUM_AT = 992, SUM_BYTES = 32 };
	uint8_t slot[JOURNAL_SLOT] = { 0 }, again[JOURNAL_SLOT];
	struct digest sum;
	struct journal j;

	memcpy(slot, data, size < SUM_AT ? size : SUM_AT);
	digest_of(DIGEST_SHA256, (struct bytes){ slot, SUM_AT }, &sum);
	memcpy(slot + SUM_AT, sum.bytes, SUM_BYTES);
	if (!journal_decode(slot, &j))
		return 0;
	if (j.synced < 0 || (j.size >= 0 && j.synced > j.size) || j.hasher.length != (uint64_t)j.synced)
		abort();
	if (!runs_valid(&j.runs, j.size >= 0 ? j.size : INT64_MAX) || (!j.scattered && j.runs.n))
		abort();
	journal_encode(&j, again);
	/* Bytes that mean nothing may differ; what was read may not. */
	if (!journal_decode(again, &j))
		abort();
	return 0;
}
