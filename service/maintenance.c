#include "service/maintenance.h"

#include <pthread.h>

#include "proto/runtime/cancel.h"
#include "proto/runtime/clock.h"
#include "service/layer/erofs/writer.h"
#include "service/log.h"
#include "store/gc/gc.h"
#include "store/layers/layer_image.h"

enum { FIRST_MS = 1000, EVERY_MS = 3600 * 1000 };

struct maintenance {
	struct store *store;
	struct cancel *stop;
	pthread_t thread;
};

/* What an upgrade leaves: an image of another version of the writer is never opened. */
static void sweep_versions(struct maintenance *m)
{
	int64_t freed = 0;
	struct err err;

	if (layer_images_sweep_versions(m->store, EROFS_WRITER_VERSION, m->stop, &freed, &err) < 0 &&
	    !cancel_fired(m->stop))
		log_line(LOG_WARN, "images of layers of other versions: %s", err.text);
	if (freed)
		log_line(LOG_INFO, "images of layers of other versions: %lld bytes removed", (long long)freed);
}

static void collect(struct maintenance *m)
{
	struct gc_result result = { .blobs = 0 };
	struct err err;

	if (gc_run(m->store, clock_wall_ns(), m->stop, &result, &err) < 0) {
		if (!cancel_fired(m->stop))
			log_line(LOG_WARN, "garbage collection: %s", err.text);
		return;
	}
	if (result.blobs || result.leases || result.edges || result.ingest_bytes)
		log_line(LOG_INFO,
			 "garbage collection: %lld blobs (%lld bytes), %lld leases, %lld edges, %lld bytes of "
			 "unfinished transfers",
			 (long long)result.blobs, (long long)result.bytes, (long long)result.leases,
			 (long long)result.edges, (long long)result.ingest_bytes);
}

static void *run(void *arg)
{
	struct maintenance *m = arg;

	for (int64_t wait = FIRST_MS; !cancel_wait(m->stop, wait); wait = EVERY_MS) {
		collect(m);
		sweep_versions(m);
	}
	return NULL;
}

int maintenance_start(struct store *s, struct maintenance **ret_maintenance, struct err *err)
{
	struct maintenance *m = calloc(1, sizeof *m);

	if (!m)
		return fail_nomem(err);
	m->store = s;
	m->stop = cancel_new();
	if (!m->stop || (errno = pthread_create(&m->thread, NULL, run, m))) {
		cancel_unref(m->stop);
		free(m);
		return fail_errno(err, "housekeeping thread");
	}
	*ret_maintenance = m;
	return OK;
}

void maintenance_stop(struct maintenance *m)
{
	if (!m)
		return;
	cancel_fire(m->stop, E_CANCELLED);
	pthread_join(m->thread, NULL);
	cancel_unref(m->stop);
	free(m);
}
