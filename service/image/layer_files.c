#include "service/image/layer_files.h"

#include <poll.h>
#include <pthread.h>

#include "service/layer/erofs/writer.h"

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

static int make(struct layer_files *f, const struct digest *diff_id, struct cancel *cancel, struct err *err)
{
	CLEANUP(layer_image_freep) struct layer_image *image = NULL;

	if (layer_file_make(f->store, f->program, diff_id, cancel, &image, err) < 0)
		return err->code;
	return layer_images_commit(f->store, &image, diff_id, 1, err);
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
