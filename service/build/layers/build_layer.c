#include <fcntl.h>

#include "service/build/layers/build_layer_state.h"

struct build_layer *build_layer_new(struct layer_files *files, const struct step_result *result)
{
	struct build_layer *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	atomic_init(&l->refs, 1);
	l->result = *result;
	l->files = files;
	pthread_mutex_init(&l->mu, NULL);
	return l;
}

int build_layer_stored(struct layer_files *files, const struct step_result *result, struct build_layer **ret_layer,
		       struct err *err)
{
	struct build_layer *l = build_layer_new(files, result);

	if (!l)
		return fail_nomem(err);
	*ret_layer = l;
	return OK;
}

int build_layer_unstored(struct layer_files *files, const struct step_result *result, struct ingest *ingest,
			 struct layer_image *image, struct build_layer **ret_layer, struct err *err)
{
	struct build_layer *l = build_layer_new(files, result);

	if (!l) {
		layer_image_free(image);
		ingest_unref(ingest);
		return fail_nomem(err);
	}
	l->ingest = ingest;
	l->image = image;
	*ret_layer = l;
	return OK;
}

struct build_layer *build_layer_ref(struct build_layer *l)
{
	atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
	return l;
}

void build_layer_unref(struct build_layer *l)
{
	if (!l || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1)
		return;
	layer_image_free(l->image);
	ingest_unref(l->ingest);
	pthread_mutex_destroy(&l->mu);
	free(l);
}

void build_layer_unrefp(struct build_layer **l)
{
	build_layer_unref(*l);
}

const struct step_result *build_layer_result(const struct build_layer *l)
{
	return &l->result;
}

struct ingest *build_layer_ingest(const struct build_layer *l)
{
	return l->ingest;
}

struct layer_image *build_layer_image(const struct build_layer *l)
{
	return l->image;
}

void build_layer_settle(struct build_layer *l)
{
	struct layer_image *image;
	struct ingest *ingest;

	pthread_mutex_lock(&l->mu);
	image = TAKE(l->image);
	ingest = TAKE(l->ingest);
	pthread_mutex_unlock(&l->mu);
	layer_image_free(image);
	ingest_unref(ingest);
}

/* Of the unnamed image; false when it is in the store. */
static bool open_own(struct build_layer *l, int *ret_fd, bool *ret_opaque)
{
	bool own;

	pthread_mutex_lock(&l->mu);
	own = l->image != NULL;
	if (own) {
		*ret_fd = fcntl(layer_image_fd(l->image), F_DUPFD_CLOEXEC, 3);
		*ret_opaque = layer_image_facts(l->image)->root_is_opaque;
	}
	pthread_mutex_unlock(&l->mu);
	return own;
}

int build_layer_open(struct build_layer *l, struct cancel *cancel, int *ret_fd, bool *ret_opaque, struct err *err)
{
	struct layer_image_facts facts = { .image_size = 0 };
	char text[DIGEST_TEXT_MAX];
	bool opaque = false;
	int fd = -1;

	if (open_own(l, &fd, &opaque)) {
		if (fd < 0)
			return fail_errno(err, "open the image of a new layer");
	} else if (layer_files_open(l->files, &l->result.diff_id, cancel, &fd, &facts, err) < 0) {
		return err_wrap(err, "layer %s", digest_text(&l->result.diff_id, text));
	} else {
		opaque = facts.root_is_opaque;
	}
	*ret_fd = fd;
	if (ret_opaque)
		*ret_opaque = opaque;
	return OK;
}
