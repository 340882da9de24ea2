#include "store/cache/step_state.h"
#include "store/check_run.h"
#include "store/content/content.h"
#include "store/meta/scan.h"

/* Looked at twice: a result that went meanwhile is no finding. */
static int report(struct checking *w, enum finding_kind kind, const struct digest *first, const struct digest *d,
		  const char *detail, struct err *err)
{
	struct key k = key_step(first);
	uint64_t revision;
	int r = record_revision(w->store->local, &k, &revision, err);

	if (r != OK)
		return r == E_NOT_FOUND ? OK : r;
	w->step = first;
	r = check_report(w, kind, d, detail, err);
	w->step = NULL;
	return r;
}

static int check_lease(struct checking *w, const struct digest *first, const step_record *record, struct err *err)
{
	struct lease_id lease;
	uint64_t revision;
	struct key k;
	int r = step_lease_of(record, &lease, err);

	if (r != OK)
		return r;
	k = key_lease(&lease);
	r = record_revision(w->store->shared, &k, &revision, err);
	if (r != E_NOT_FOUND)
		return r;
	return report(w, FINDING_RECORD_BROKEN, first, first, "what holds the result of a step of a build is missing",
		      err);
}

static int check_blob(struct checking *w, const struct digest *first, const struct step_result *result, struct err *err)
{
	int64_t size;

	if (content_exists(w->store, &result->blob, &size) && size == result->blob_size)
		return OK;
	if (digest_list_has(&w->missing, &result->blob) || digest_list_has(&w->damaged, &result->blob))
		return OK;
	return report(w, FINDING_BLOB_MISSING, first, &result->blob,
		      "the result of a step of a build needs this content and it is not there", err);
}

static int check_step(struct checking *w, const struct digest *first, struct err *err)
{
	CLEANUP(arena_free) struct arena arena;
	struct step_result result;
	step_record *record;
	int r;

	arena_init(&arena, RECORD_ARENA_MAX);
	r = step_read(w->store, first, &arena, &record, NULL, err);
	if (r == OK)
		r = step_result_of(record, &result, err);
	if (r == OK)
		r = check_lease(w, first, record, err);
	if (r == OK)
		r = check_blob(w, first, &result, err);
	if (r == E_CORRUPT)
		return report(w, FINDING_RECORD_BROKEN, first, first, "the record of a step of a build cannot be read",
			      err);
	return r == E_NOT_FOUND ? OK : r;
}

int check_steps(struct checking *w, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_step_prefix();
	const struct key *k;
	int r;

	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, w->store->local, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k) {
		struct digest first;

		r = cancel_check(w->c->cancel, err);
		if (r == OK && key_parse_step(key_bytes(k), &first))
			r = check_step(w, &first, err);
		if (r != OK)
			return r;
	}
	return r;
}
