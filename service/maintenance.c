#include "service/maintenance.h"

#include <pthread.h>

#include "proto/runtime/cancel.h"
#include "proto/runtime/clock.h"
#include "service/log.h"
#include "store/gc/gc.h"

enum { FIRST_MS = 1000, EVERY_MS = 3600 * 1000 };

struct maintenance {
	struct store *store;
	struct cancel *stop;
	pthread_t thread;
};

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

	for (int64_t wait = FIRST_MS; !cancel_wait(m->stop, wait); wait = EVERY_MS)
		collect(m);
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
