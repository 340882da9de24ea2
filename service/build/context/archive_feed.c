#include "service/build/context/archive_feed.h"

#include "proto/runtime/clock.h"

void archive_feed_init(struct archive_feed *f, struct cancel *cancel)
{
	*f = (struct archive_feed){ .cancel = cancel };
	pthread_mutex_init(&f->mu, NULL);
	cond_init_monotonic(&f->changed);
}

void archive_feed_free(struct archive_feed *f)
{
	pthread_mutex_destroy(&f->mu);
	pthread_cond_destroy(&f->changed);
}

/* ---- the thread that receives ---------------------------------------------------------- */

static void fail_locked(struct archive_feed *f, const struct err *why)
{
	if (!f->failed) {
		f->failure = *why;
		f->failed = true;
	}
	pthread_cond_broadcast(&f->changed);
}

void archive_feed_fail(struct archive_feed *f, const struct err *why)
{
	pthread_mutex_lock(&f->mu);
	fail_locked(f, why);
	pthread_mutex_unlock(&f->mu);
}

static int put(struct archive_feed *f, const Imaged__V1__ArchiveData *m, struct err *err)
{
	struct err why = ERR_INIT;

	if (f->ended)
		return fail(err, E_INVALID, "build context \"%s\": bytes behind the archive's end", m->context);
	if (*m->failed) {
		fail(&why, E_ABORTED, "%s", m->failed);
		fail_locked(f, &why);
		return OK;
	}
	f->piece = (struct bytes){ m->data.data, m->data.len };
	f->ended = m->end;
	pthread_cond_broadcast(&f->changed);
	while (f->piece.len && !f->closed)
		pthread_cond_wait(&f->changed, &f->mu);
	return OK;
}

int archive_feed_put(struct archive_feed *f, const Imaged__V1__ArchiveData *m, struct err *err)
{
	int r;

	pthread_mutex_lock(&f->mu);
	r = put(f, m, err);
	pthread_mutex_unlock(&f->mu);
	return r;
}

/* ---- the thread that reads ---------------------------------------------------------------- */

static void wake(void *feed)
{
	struct archive_feed *f = feed;

	pthread_mutex_lock(&f->mu);
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->mu);
}

/* The piece that was given last is done with. */
static int next(struct archive_feed *f, struct bytes *ret_data, struct err *err)
{
	if (f->given)
		f->piece = (struct bytes){ 0 };
	f->given = false;
	pthread_cond_broadcast(&f->changed);
	while (!f->piece.len && !f->ended && !f->failed && !cancel_fired(f->cancel))
		pthread_cond_wait(&f->changed, &f->mu);
	if (f->failed) {
		*err = f->failure;
		return f->failure.code;
	}
	if (!f->piece.len && !f->ended)
		return cancel_check(f->cancel, err);
	*ret_data = f->piece;
	f->given = f->piece.len > 0;
	return f->given;
}

static int receive(void *feed, struct bytes *ret_data, struct err *err)
{
	struct archive_feed *f = feed;
	struct cancel_hook hook = { .fn = wake, .arg = f };
	int r;

	if (f->cancel)
		cancel_hook(f->cancel, &hook);
	pthread_mutex_lock(&f->mu);
	r = next(f, ret_data, err);
	pthread_mutex_unlock(&f->mu);
	if (f->cancel)
		cancel_unhook(f->cancel, &hook);
	return r;
}

struct archive_reader archive_feed_reader(struct archive_feed *f)
{
	return (struct archive_reader){ receive, f };
}

void archive_feed_close(struct archive_feed *f)
{
	pthread_mutex_lock(&f->mu);
	f->closed = true;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->mu);
}
