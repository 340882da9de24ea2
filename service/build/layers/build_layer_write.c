/* A layer that is being made: its tar into an ingest, then its image of it. */
#include "service/build/layers/build_layer_state.h"
#include "service/build/layers/empty_layer.h"

static const char plain_layer[] = "application/vnd.oci.image.layer.v1.tar";

struct build_layer_writer {
	struct store *store;
	struct layer_workers *workers;
	struct layer_files *files;
	struct ingest *ingest;
};

int build_layer_begin(struct store *s, struct layer_workers *workers, struct layer_files *files,
		      struct build_layer_writer **ret_writer, struct err *err)
{
	struct build_layer_writer *w = calloc(1, sizeof *w);
	int r;

	if (!w)
		return fail_nomem(err);
	r = ingest_open_unnamed(s, DIGEST_SHA256, &w->ingest, err);
	if (r != OK) {
		free(w);
		return r;
	}
	w->store = s;
	w->workers = layer_workers_ref(workers);
	w->files = files;
	*ret_writer = w;
	return OK;
}

int build_layer_write(void *writer, struct bytes piece, struct err *err)
{
	struct build_layer_writer *w = writer;

	return piece.len ? ingest_write(w->ingest, piece.data, piece.len, err) : OK;
}

void build_layer_abandon(struct build_layer_writer *w)
{
	if (!w)
		return;
	ingest_unref(w->ingest);
	layer_workers_unref(w->workers);
	free(w);
}

static void abandonp(struct build_layer_writer **w)
{
	build_layer_abandon(*w);
}

/* ---- the end -------------------------------------------------------------------- */

static int start_job(struct build_layer_writer *w, const struct digest *digest, int64_t size,
		     struct layer_image **ret_image, struct layer_job **ret_job, struct err *err)
{
	CLEANUP(layer_image_freep) struct layer_image *image = NULL;
	CLEANUP(closep) int fd = -1;
	int r = ingest_reader(w->ingest, &fd, err);

	if (r == OK)
		r = layer_image_new(w->store, &image, err);
	if (r == OK)
		r = layer_job_start_whole_image(w->workers, take_fd(&fd), layer_image_fd(image), digest, size, ret_job,
						err);
	if (r == OK)
		*ret_image = TAKE(image);
	return r;
}

static int convert(struct build_layer_writer *w, struct step_result *result, struct cancel *cancel,
		   struct layer_image **ret_image, struct err *err)
{
	CLEANUP(layer_image_freep) struct layer_image *image = NULL;
	CLEANUP(layer_job_freep) struct layer_job *job = NULL;
	int r = start_job(w, &result->blob, result->blob_size, &image, &job, err);

	if (r == OK)
		r = layer_file_finish(w->store, job, image, cancel, &result->facts, err);
	if (r != OK)
		return r;
	if (!result->facts.end_mark)
		return fail(err, E_INTERNAL, "the tar of a new layer has no end");
	*ret_image = TAKE(image);
	return OK;
}

static int make_image(struct build_layer_writer *w, struct step_result *result, struct cancel *cancel,
		      struct layer_image **ret_image, struct err *err)
{
	int r = empty_layer_image(w->store, &result->blob, cancel, &result->facts, ret_image, err);

	if (r == 0)
		r = convert(w, result, cancel, ret_image, err);
	if (r < 0)
		return r;
	empty_layer_note(&result->facts, *ret_image);
	result->diff_id = result->facts.diff_id;
	return OK;
}

static int name_blob(struct step_result *result, struct build_layer_writer *w, int64_t created_ns, struct err *err)
{
	result->blob_size = ingest_offset(w->ingest);
	result->created_ns = created_ns;
	result->media_type = plain_layer;
	return ingest_name(w->ingest, &result->blob, err);
}

int build_layer_end(struct build_layer_writer *w, int64_t created_ns, struct cancel *cancel,
		    struct build_layer **ret_layer, struct err *err)
{
	CLEANUP(abandonp) struct build_layer_writer *writer = w;
	CLEANUP(layer_image_freep) struct layer_image *image = NULL;
	struct step_result result = { .blob_size = 0 };
	int r = name_blob(&result, writer, created_ns, err);

	if (r == OK)
		r = make_image(writer, &result, cancel, &image, err);
	if (r != OK)
		return r;
	return build_layer_unstored(writer->files, &result, TAKE(writer->ingest), TAKE(image), ret_layer, err);
}
