/*
 * store_check(): first the records (does each have what it needs), then the blobs
 * (are they what their names say, does something need them), then the images of layers,
 * of which each may take longest. The store goes on
 * working meanwhile: what looks wrong is looked at twice, and a thing that was
 * removed in between is no finding.
 */
#include "store/check.h"

#include "store/check_run.h"
#include "store/content/blob.h"
#include "store/content/content.h"
#include "store/gc/in_use.h"
#include "store/internal.h"

enum { PROGRESS_BYTES = 32 * 1024 * 1024 };

/* ---- report --------------------------------------------------------------- */

int check_tell_progress(struct checking *w, struct err *err)
{
	int r = w->c->progress ? w->c->progress(w->c->arg, &w->progress) : OK;

	return r < 0 ? visit_failed(err, r, "the check was ended") : OK;
}

int check_report(struct checking *w, enum finding_kind kind, const struct digest *d, const char *detail,
		 struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { 0 };
	struct finding f = { .kind = kind, .digest = *d, .detail = detail, .size = -1, .media_type = "" };
	int r;

	if (!w->c->finding)
		return OK;
	arena_init(&arena, CHECK_ARENA);
	f.step = w->step;
	r = check_describe(w->store, d, &arena, &f, err);
	if (r != OK)
		return r;
	r = w->c->finding(w->c->arg, &f);
	return r < 0 ? visit_failed(err, r, "the check was ended") : OK;
}

/* ---- blobs ---------------------------------------------------------------- */

static bool count_blob(void *arg, UNUSED const struct digest *d, int64_t size)
{
	struct check_progress *p = arg;

	p->blobs_total++;
	p->bytes_total += size;
	return true;
}

static void count_bytes(void *arg, size_t bytes)
{
	struct checking *w = arg;

	w->progress.bytes_checked += (int64_t)bytes;
	w->untold += bytes;
	if (w->untold < PROGRESS_BYTES || w->r != OK)
		return;
	w->untold = 0;
	w->r = check_tell_progress(w, w->err);
}

static int check_bytes(struct checking *w, const struct digest *d, struct err *err)
{
	struct err damage = ERR_INIT;
	int r = content_verify(w->store, d, count_bytes, w, w->c->cancel, &damage);

	if (r == E_NOT_FOUND) /* removed meanwhile */
		return OK;
	if (r == E_CORRUPT && digest_list_add(&w->damaged, d))
		return check_report(w, FINDING_BLOB_DAMAGED, d, damage.text, err);
	return r == OK ? OK : fail(err, r, "%s", damage.text);
}

static int check_blob(struct checking *w, const struct digest *d, int64_t size, struct err *err)
{
	bool in_use;
	int r = cancel_check(w->c->cancel, err);

	if (r == OK)
		r = blob_in_use(w->store, d, NULL, &in_use, err);
	if (r == OK && !in_use && content_exists(w->store, d, NULL))
		r = check_report(w, FINDING_BLOB_UNREFERENCED, d, "nothing needs this content", err);
	if (r == OK && w->c->quick)
		w->progress.bytes_checked += size;
	if (r == OK && !w->c->quick && !digest_list_has(&w->damaged, d))
		r = check_bytes(w, d, err);
	if (r == OK)
		r = w->r; /* of the progress in between */
	w->progress.blobs_checked++;
	return r == OK ? check_tell_progress(w, err) : r;
}

static bool visit_blob(void *arg, const struct digest *d, int64_t size)
{
	struct checking *w = arg;

	w->r = check_blob(w, d, size, w->err);
	return w->r == OK;
}

static int check_blobs(struct checking *w, struct err *err)
{
	int r = content_list(w->store, visit_blob, w, err);

	return r == OK ? w->r : r;
}

/* ---- all of it ------------------------------------------------------------ */

/* A damaged blob is of use as long as nothing has taken its place: a repair may be at it
 * and put it back. */
static bool is_only_copy(struct store *s, const struct digest *d)
{
	bool in_use;

	return !content_exists(s, d, NULL) && (blob_in_use(s, d, NULL, &in_use, NULL) != OK || in_use);
}

static int run(struct checking *w, struct err *err)
{
	int64_t images;
	int r = OK;

	if (!w->store->read_only)
		r = quarantine_clear(w->store, is_only_copy, err);
	if (r == OK)
		r = content_list(w->store, count_blob, &w->progress, err);
	if (r == OK)
		r = layer_images_usage(w->store, &w->progress.layer_bytes_total, &images, err);
	if (r == OK)
		r = check_records(w, err);
	if (r == OK)
		r = check_steps(w, err);
	if (r == OK)
		r = check_blobs(w, err);
	return r == OK ? check_layers(w, err) : r;
}

int store_check(struct store *s, const struct check *c, struct check_progress *ret_totals, struct err *err)
{
	struct err own = ERR_INIT;
	struct checking w = { .store = s, .c = c, .err = err ? err : &own };
	int r = run(&w, w.err);

	digest_list_free(&w.damaged);
	digest_list_free(&w.missing);
	if (r == OK && ret_totals)
		*ret_totals = w.progress;
	return r;
}
