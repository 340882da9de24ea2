/* The image of a layer whose bytes are all here. */
#include "service/image/layer_file.h"
#include "store/content/content.h"
#include "store/image/image.h"

struct making {
	struct layer_workers *workers;
	struct layer_image *image;
	struct layer_job *job;
};

static void making_release(struct making *m)
{
	layer_job_free(m->job);
	layer_image_free(m->image);
	layer_workers_unref(m->workers);
}

static int start(struct store *s, const char *program, const struct digest *diff_id, struct making *m, struct err *err)
{
	static const struct digest unknown = { .algorithm = DIGEST_SHA512 };
	CLEANUP(closep) int fd = -1;
	struct digest blob;
	int64_t size;

	if (layer_by_diff_id(s, diff_id, &blob, err) < 0 || content_open(s, &blob, &fd, &size, err) < 0 ||
	    layer_workers_new(program, 1, &m->workers, err) < 0 || layer_file_begin(s, fd, size, &m->image, err) < 0)
		return err->code;
	return layer_job_start_whole_image(m->workers, take_fd(&fd), layer_image_fd(m->image), &unknown, size, &m->job,
					   err);
}

int layer_file_make(struct store *s, const char *program, const struct digest *diff_id, struct cancel *cancel,
		    struct layer_image **ret_image, struct err *err)
{
	CLEANUP(making_release) struct making m = { .workers = NULL };
	struct layer_facts facts;
	char text[DIGEST_TEXT_MAX];

	if (start(s, program, diff_id, &m, err) < 0 || layer_file_finish(s, m.job, m.image, cancel, &facts, err) < 0)
		return err->code;
	if (!digest_eq(&facts.diff_id, diff_id))
		return fail(err, E_CORRUPT, "layer %s is damaged: it is another one", digest_text(diff_id, text));
	*ret_image = TAKE(m.image);
	return OK;
}
