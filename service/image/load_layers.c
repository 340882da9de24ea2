/* Layers of an archive through the worker: inflated, hashed, counted. */
#include "service/image/load.h"

/* Several at a time: as many as there are workers, and one that waits. */
enum { JOBS_AHEAD = 3 };

static int send_progress(struct load *l, const struct digest *diff_id, int64_t current, int64_t total, struct err *err)
{
	Imaged__V1__LoadEvent event = IMAGED__V1__LOAD_EVENT__INIT;
	Imaged__V1__LoadLayer m = IMAGED__V1__LOAD_LAYER__INIT;
	char text[DIGEST_TEXT_MAX];

	m.diff_id = digest_text(diff_id, text);
	m.current = current;
	m.total = total;
	event.event_case = IMAGED__V1__LOAD_EVENT__EVENT_LAYER;
	event.layer = &m;
	return imaged__v1__image_service__load_send(l->call, &event, err);
}

static int start_workers(struct load *l, struct err *err)
{
	return l->workers ? OK : layer_workers_new(l->service->worker_program, 0, &l->workers, err);
}

/* What was found out about a blob before need not be found out again. */
static int start(struct load *l, struct load_blob *b, struct err *err)
{
	int fd = -1;
	int r;

	if (b->has_facts || b->job)
		return OK;
	r = layer_facts_get(l->service->store, &b->digest, &b->facts, NULL);
	if (r == OK) {
		b->has_facts = true;
		return OK;
	}
	r = start_workers(l, err);
	if (r == OK)
		r = load_blob_open(l, b, &fd, err);
	if (r == OK)
		r = layer_job_start_whole(l->workers, fd, &b->digest, b->size, &b->job, err);
	return r;
}

static int finish(struct load *l, struct load_blob *b, struct err *err)
{
	int r;

	if (!b->job)
		return OK;
	r = layer_job_finish(b->job, l->cancel, &b->facts, err);
	layer_job_free(TAKE(b->job));
	b->has_facts = r == OK;
	return r;
}

static int compare(const struct load_blob *b, size_t i, const struct image_config *config, struct err *err)
{
	char wanted[DIGEST_TEXT_MAX], found[DIGEST_TEXT_MAX];

	if (digest_eq(&b->facts.diff_id, &config->diff_ids[i]))
		return OK;
	return fail(err, E_DIGEST_MISMATCH, "invalid diffID for layer %zu: expected \"%s\", got \"%s\"", i,
		    digest_text(&config->diff_ids[i], wanted), digest_text(&b->facts.diff_id, found));
}

static int verify_one(struct load *l, struct load_blob *b, size_t i, const struct image_config *config, struct err *err)
{
	bool is_new = b->job && b->brought;
	int r = finish(l, b, err);

	if (r < 0)
		return err_wrap(err, "layer %zu", i);
	r = compare(b, i, config, err);
	return r == OK && is_new ? send_progress(l, &config->diff_ids[i], b->size, b->size, err) : r;
}

int load_verify_layers(struct load *l, struct load_blob *const *layers, size_t n, const struct image_config *config,
		       struct err *err)
{
	size_t started = 0;

	for (size_t i = 0; i < n; i++) {
		for (; started < n && started < i + JOBS_AHEAD; started++) {
			struct load_blob *b = layers[started];

			if (start(l, b, err) < 0)
				return err->code;
			if (b->job && b->brought && send_progress(l, &config->diff_ids[started], 0, b->size, err) < 0)
				return err->code;
		}
		if (verify_one(l, layers[i], i, config, err) < 0)
			return err->code;
	}
	return OK;
}
