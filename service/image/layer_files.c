#include "service/image/layer_files.h"

#include <poll.h>
#include <pthread.h>

#include "service/layer/erofs/writer.h"
#include "store/content/content.h"
#include "store/image/image.h"

enum { BUSY_MS = 20 };

/* An image that is being made. */
struct making {
	struct digest diff_id;
	struct making *next;
};

struct layer_files {
	struct store *store;
	const char *program;
	pthread_mutex_t mu;
	struct making *first; /* guarded by mu, like made */
	unsigned made;
};

int layer_files_new(struct store *s, const char *program, struct layer_files **ret_files, struct err *err)
{
	struct layer_files *f = calloc(1, sizeof *f);

	if (!f)
		return fail_nomem(err);
	f->store = s;
	f->program = program;
	pthread_mutex_init(&f->mu, NULL);
	*ret_files = f;
	return OK;
}

void layer_files_free(struct layer_files *f)
{
	if (!f)
		return;
	pthread_mutex_destroy(&f->mu);
	free(f);
}

void layer_files_freep(struct layer_files **f)
{
	layer_files_free(*f);
}

unsigned layer_files_made(struct layer_files *f)
{
	unsigned made;

	pthread_mutex_lock(&f->mu);
	made = f->made;
	pthread_mutex_unlock(&f->mu);
	return made;
}

/* ---- one at a time ----------------------------------------------------------------- */

/* False when somebody makes it already. */
static bool begin(struct layer_files *f, struct making *m)
{
	struct making *other;

	pthread_mutex_lock(&f->mu);
	for (other = f->first; other && !digest_eq(&other->diff_id, &m->diff_id);)
		other = other->next;
	if (!other) {
		m->next = f->first;
		f->first = m;
	}
	pthread_mutex_unlock(&f->mu);
	return !other;
}

static void end(struct layer_files *f, struct making *m, int rc)
{
	struct making **p = &f->first;

	pthread_mutex_lock(&f->mu);
	while (*p != m)
		p = &(*p)->next;
	*p = m->next;
	f->made += rc == OK;
	pthread_mutex_unlock(&f->mu);
}

/* ---- making -------------------------------------------------------------------------- */

struct layer {
	struct layer_workers *workers;
	struct layer_image *image;
	struct layer_job *job;
};

static void layer_release(struct layer *l)
{
	layer_job_free(l->job);
	layer_image_free(l->image);
	layer_workers_unref(l->workers);
}

/* Of any blob of this diff ID. Its bytes are hashed, whatever its name says. */
static int start(struct layer_files *f, const struct digest *diff_id, struct layer *l, struct err *err)
{
	static const struct digest unknown = { .algorithm = DIGEST_SHA512 };
	CLEANUP(closep) int fd = -1;
	struct digest blob;
	int64_t size;

	if (layer_by_diff_id(f->store, diff_id, &blob, err) < 0 || content_open(f->store, &blob, &fd, &size, err) < 0 ||
	    layer_workers_new(f->program, 1, &l->workers, err) < 0 || layer_image_new(f->store, &l->image, err) < 0)
		return err->code;
	return layer_job_start_whole_image(l->workers, take_fd(&fd), layer_image_fd(l->image), &unknown, size, &l->job,
					   err);
}

static int make(struct layer_files *f, const struct digest *diff_id, struct cancel *cancel, struct err *err)
{
	CLEANUP(layer_release) struct layer l = { .workers = NULL };
	struct layer_facts facts;
	char text[DIGEST_TEXT_MAX];

	if (start(f, diff_id, &l, err) < 0 || layer_file_finish(f->store, l.job, l.image, cancel, &facts, err) < 0)
		return err->code;
	if (!digest_eq(&facts.diff_id, diff_id))
		return fail(err, E_CORRUPT, "layer %s is damaged: it is another one", digest_text(diff_id, text));
	return layer_images_commit(f->store, &l.image, diff_id, 1, err);
}

/* True when the token has fired. */
static bool wait_a_moment(struct cancel *cancel)
{
	if (cancel)
		return cancel_wait(cancel, BUSY_MS);
	poll(NULL, 0, BUSY_MS);
	return false;
}

int layer_files_open(struct layer_files *f, const struct digest *diff_id, struct cancel *cancel, int *ret_fd,
		     struct layer_image_facts *ret_facts, struct err *err)
{
	struct making m = { .diff_id = *diff_id };
	struct err why = ERR_INIT;
	int r;

	for (;;) {
		r = layer_image_open(f->store, diff_id, EROFS_WRITER_VERSION, ret_fd, ret_facts, &why);
		if (r != E_NOT_FOUND || begin(f, &m))
			break;
		if (wait_a_moment(cancel))
			return cancel_check(cancel, err);
	}
	if (r != E_NOT_FOUND)
		return r == OK ? OK : fail(err, r, "%s", why.text);
	r = make(f, diff_id, cancel, &why);
	end(f, &m, r);
	if (r != OK)
		return fail(err, r, "%s", why.text);
	return layer_image_open(f->store, diff_id, EROFS_WRITER_VERSION, ret_fd, ret_facts, err);
}
