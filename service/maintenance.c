#include "service/maintenance.h"

#include <pthread.h>

#include "proto/runtime/cancel.h"
#include "proto/runtime/clock.h"
#include "service/layer/erofs/writer.h"
#include "service/log.h"
#include "service/metrics/counters.h"
#include "store/gc/gc.h"
#include "store/layers/layer_image.h"
#include "store/meta/meta.h"
#include "store/usage.h"

enum { FIRST_MS = 1000, LOOK_MS = 5 * 60 * 1000, COLLECT_MS = 3600 * 1000 };

struct maintenance {
	struct store *store;
	struct build_cache cache;
	struct cache_limits limits;
	uint64_t revision; /* of the local space, when what builds keep was last looked at */
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
	int64_t began_ns = clock_monotonic_ns();
	struct err err;
	int r = gc_run(m->store, clock_wall_ns(), m->stop, &result, &err);

	if (r < 0 && cancel_fired(m->stop))
		return;
	metric_add(METRIC_GC_NS, clock_monotonic_ns() - began_ns);
	metric_add(r < 0 ? METRIC_GC_FAILED : METRIC_GC_OK, 1);
	metric_add(METRIC_GC_FREED_BYTES, result.bytes + result.ingest_bytes);
	if (r < 0) {
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

/* ---- what builds keep ---------------------------------------------------------------- */

static int64_t max_bytes(struct maintenance *m)
{
	int64_t total = 0, available = 0;

	if (!m->limits.max_bytes && store_disk(m->store, &total, &available, NULL) < 0)
		return -1;
	return cache_limits_bytes(&m->limits, total);
}

static void prune(struct maintenance *m, int64_t unused_since, int64_t most)
{
	const struct build_cache_limits limits = {
		.all = true,
		.unused_since = unused_since,
		.max_bytes = most,
		.cancel = m->stop,
	};
	int64_t freed = 0;
	struct err err;

	if (build_cache_prune(&m->cache, &limits, &freed, &err) < 0 && !cancel_fired(m->stop))
		log_line(LOG_WARN, "build cache: %s", err.text);
	if (freed)
		log_line(LOG_INFO, "build cache: %lld bytes removed that were %s", (long long)freed,
			 most < 0 ? "unused for long" : "over its limit");
}

static void prune_cache(struct maintenance *m)
{
	int64_t most = max_bytes(m), now = clock_wall_ns();

	m->revision = meta_revision(store_local(m->store));
	if (m->limits.unused_ns >= 0 && now > m->limits.unused_ns)
		prune(m, now - m->limits.unused_ns, -1);
	if (most >= 0)
		prune(m, 0, most);
}

/* ---- the thread ------------------------------------------------------------------------ */

/* Again and again, as a count that was disturbed is off by what came meanwhile. */
static void count(struct maintenance *m)
{
	struct err err;

	if (store_count_used(m->store, m->stop, &err) < 0 && !cancel_fired(m->stop))
		log_line(LOG_DEBUG, "count of the store: %s", err.text);
}

static void look_after_all(struct maintenance *m)
{
	count(m);
	collect(m);
	sweep_versions(m);
	prune_cache(m);
}

static void *run(void *arg)
{
	struct maintenance *m = arg;
	int64_t collect_at = 0;

	for (int64_t wait = FIRST_MS; !cancel_wait(m->stop, wait); wait = LOOK_MS) {
		int64_t now = clock_monotonic_ms();

		if (now >= collect_at) {
			look_after_all(m);
			collect_at = now + COLLECT_MS;
		} else if (meta_revision(store_local(m->store)) != m->revision) {
			prune_cache(m);
		}
	}
	return NULL;
}

int maintenance_start(const struct maintenance_options *options, struct maintenance **ret_maintenance, struct err *err)
{
	struct maintenance *m = calloc(1, sizeof *m);

	if (!m)
		return fail_nomem(err);
	m->store = options->store;
	m->cache = options->cache;
	m->limits = options->limits;
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
