#include "service/build/session/base_steps.h"

/* The operations that are images; NULL: it is none, or has no place among the steps. */
static struct base_image *image_of(const struct base_steps *b, const struct op *op)
{
	if ((op->kind != OP_IMAGE && op->kind != OP_CONTEXT) || !op->title)
		return NULL;
	return b->front_end->bases[op->stage];
}

void base_steps_begin(struct base_steps *b, struct front_end *f, struct progress *progress, struct used_images *used)
{
	*b = (struct base_steps){ .front_end = f, .progress = progress, .used = used };
	pthread_mutex_init(&b->mu, NULL);
	for (size_t i = 0; i < f->graph.n; i++) {
		const struct op *op = &f->graph.ops[i];
		struct base_image *image = image_of(b, op);

		if (image && !base_image_is_stored(image))
			base_image_show(image, progress_begin(progress, op->title, &op->own));
	}
}

static void tell_one(struct base_steps *b, const struct op *op, struct base_image *image, bool needed)
{
	struct vertex *v = progress_begin(b->progress, op->title, &op->own);

	if (needed && used_images_note(b->used, base_image_digest(image)))
		vertex_cached(v);
	else
		vertex_done(v);
}

static void tell(struct base_steps *b, bool needed)
{
	const struct graph *g = &b->front_end->graph;
	bool told;

	pthread_mutex_lock(&b->mu);
	told = b->told;
	b->told = true;
	pthread_mutex_unlock(&b->mu);
	for (size_t i = 0; i < g->n && !told; i++) {
		struct base_image *image = image_of(b, &g->ops[i]);

		if (image && base_image_is_stored(image))
			tell_one(b, &g->ops[i], image, needed);
	}
}

void base_steps_needed(void *base_steps)
{
	tell(base_steps, true);
}

/* Of an image with nothing on it the result needs the tree. */
static bool is_image_alone(const struct graph *g)
{
	return g->n == 1;
}

void base_steps_end(struct base_steps *b, bool failed)
{
	tell(b, failed || is_image_alone(&b->front_end->graph));
	pthread_mutex_destroy(&b->mu);
}
