/* Layers of an archive through the worker: inflated, hashed, counted. */
#include "proto/runtime/clock.h"
#include "service/image/layer_file.h"
#include "service/image/load.h"

bool pace_is_due(struct pace *p, int64_t bytes)
{
	enum { TELL_BYTES = 512 * 1024, SLOWING = 256 };
	int64_t now = clock_monotonic_ms();

	if (bytes - p->bytes < TELL_BYTES || now - p->at_ms < p->n * p->n / SLOWING)
		return false;
	*p = (struct pace){ bytes, now, p->n + 1 };
	return true;
}

int load_tell_layer(struct load *l, const struct digest *diff_id, int64_t current, int64_t total, struct err *err)
{
	Imaged__V1__LoadEvent event = IMAGED__V1__LOAD_EVENT__INIT;
	Imaged__V1__LoadLayer m = IMAGED__V1__LOAD_LAYER__INIT;
	char text[DIGEST_TEXT_MAX];

	m.diff_id = digest_text(diff_id, text);
	m.current = current;
	m.total = total;
	event.event_case = IMAGED__V1__LOAD_EVENT__EVENT_LAYER;
	event.layer = &m;
	return load_send(l, &event, err);
}

static int start_workers(struct load *l, struct err *err)
{
	return l->workers ? OK : layer_workers_new(l->service->worker_program, 0, &l->workers, err);
}

static int keep_facts(struct load_blob *b, const struct layer_facts *facts, struct err *err)
{
	b->facts = malloc(sizeof *b->facts);
	if (!b->facts)
		return fail_nomem(err);
	*b->facts = *facts;
	return OK;
}

/* Takes `fd`. */
static int start_job(struct load *l, struct load_blob *b, int fd, struct err *err)
{
	CLEANUP(closep) int owned = fd;

	if (l->service->no_layers)
		return layer_job_start_whole(l->workers, take_fd(&owned), &b->digest, b->size, &b->job, err);
	if (layer_file_begin(l->service->store, fd, b->size, &b->image, err) < 0)
		return err->code;
	return layer_job_start_whole_image(l->workers, take_fd(&owned), layer_image_fd(b->image), &b->digest, b->size,
					   &b->job, err);
}

/* What was found out about a blob before need not be found out again. */
static int start(struct load *l, struct load_blob *b, struct err *err)
{
	CLEANUP(closep) int fd = -1;
	struct layer_facts facts;
	int r;

	if (b->facts || b->job)
		return OK;
	r = layer_facts_get(l->service->store, &b->digest, &facts, NULL);
	if (r == OK && (l->service->no_layers || layer_file_is_made(l->service->store, &facts)))
		return keep_facts(b, &facts, err);
	r = start_workers(l, err);
	if (r == OK)
		r = load_blob_open(l, b, &fd, err);
	return r == OK ? start_job(l, b, take_fd(&fd), err) : r;
}

static int finish(struct load *l, struct load_blob *b, struct err *err)
{
	struct layer_facts facts;
	int r;

	if (!b->job)
		return OK;
	r = layer_file_finish(l->service->store, b->job, b->image, l->cancel, &facts, err);
	layer_job_free(TAKE(b->job));
	if (r == OK && b->image) /* an archive may have thousands of them */
		r = layer_image_park(b->image, err);
	return r == OK ? keep_facts(b, &facts, err) : r;
}

static int compare(const struct load_blob *b, size_t i, const struct image_config *config, struct err *err)
{
	char wanted[DIGEST_TEXT_MAX], found[DIGEST_TEXT_MAX];

	if (digest_eq(&b->facts->diff_id, &config->diff_ids[i]))
		return OK;
	return fail(err, E_DIGEST_MISMATCH, "invalid diffID for layer %zu: expected \"%s\", got \"%s\"", i,
		    digest_text(&config->diff_ids[i], wanted), digest_text(&b->facts->diff_id, found));
}

/* In the order they began in: the oldest has a worker, or gets one, whatever becomes of
 * the others. */
static int finish_oldest(struct load *l, const struct image_config *config, struct err *err)
{
	const struct load_layer o = l->layers[0];
	int r = finish(l, o.blob, err);

	l->n_layers--;
	memmove(l->layers, l->layers + 1, l->n_layers * sizeof *l->layers);
	if (r < 0)
		return err_wrap(err, "layer %zu", o.number);
	r = compare(o.blob, o.number, config, err);
	return r == OK && o.is_new ? load_tell_layer(l, &config->diff_ids[o.number], o.blob->size, o.blob->size, err)
				   : r;
}

/* A layer that is done gives its worker to the next one only when somebody looks. */
static void look_at_all(struct load *l)
{
	for (size_t i = 0; i < l->n_layers; i++)
		if (l->layers[i].blob->job)
			layer_job_look(l->layers[i].blob->job);
}

int load_layer_begin(struct load *l, struct load_blob *b, const struct image_config *config, size_t number,
		     struct err *err)
{
	bool was_begun = b->job != NULL, was_told = b->told;
	struct load_layer layer = { .blob = b, .number = number };

	if (l->n_layers == LOAD_JOBS && finish_oldest(l, config, err) < 0)
		return err->code;
	look_at_all(l);
	if (start(l, b, err) < 0)
		return err->code;
	layer.is_new = was_told || (b->job && !was_begun && b->brought);
	b->told = false; /* once */
	l->layers[l->n_layers++] = layer;
	return layer.is_new && !was_told ? load_tell_layer(l, &config->diff_ids[number], 0, b->size, err) : OK;
}

int load_layers_finish(struct load *l, const struct image_config *config, struct err *err)
{
	int r = OK;

	while (r == OK && l->n_layers) {
		r = finish_oldest(l, config, err);
		look_at_all(l);
	}
	return r;
}

int load_layer_look(struct load *l, struct load_blob *b, struct err *err)
{
	int r = start(l, b, err);

	return r == OK ? finish(l, b, err) : r;
}
