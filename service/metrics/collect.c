#include "service/metrics/collect.h"

#include <inttypes.h>

#include "service/metrics/counters.h"
#include "store/cache/step_cache.h"
#include "store/store.h"
#include "store/usage.h"

void metrics_family(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_gauge(struct buf *out, const char *name, const char *help, double value)
{
	metrics_family(out, name, "gauge", help);
	buf_printf(out, "%s %.17g\n", name, value);
}

/* ---- what was counted ---- */

struct row {
	int64_t per_one;
	const char *family, *labels, *help;
};

static const struct row rows[METRIC_COUNT] = {
#define X(row, per, family, labels, help) [row] = { per, family, labels, help },
	METRIC_TABLE(X)
#undef X
};

static void collect_counters(struct buf *out)
{
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		const struct row *r = &rows[i];
		double value = (double)metric_get((enum metric)i) / (double)r->per_one;

		if (r->help)
			metrics_family(out, r->family, "counter", r->help);
		buf_printf(out, *r->labels ? "%s{%s} %.17g\n" : "%s%s %.17g\n", r->family, r->labels, value);
	}
}

/* ---- pools ---- */

static void collect_pools(const struct metrics_sources *s, struct buf *out)
{
	static const char *const names[] = { "unary", "streams", "transfers" };
	struct pool_load loads[ARRAY_LEN(names)];

	rpc_server_load(s->server, &loads[0], &loads[1]);
	transfers_load(s->images->transfers, &loads[2]);
	metrics_family(out, "imaged_pool_busy_threads", "gauge", "Threads that work.");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		buf_printf(out, "imaged_pool_busy_threads{pool=\"%s\"} %u\n", names[i],
			   loads[i].threads - loads[i].idle);
	metrics_family(out, "imaged_pool_queue_length", "gauge", "Tasks that wait for a thread.");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		buf_printf(out, "imaged_pool_queue_length{pool=\"%s\"} %u\n", names[i], loads[i].queued);
}

/* ---- operations ---- */

static void collect_operations(const struct image_service *images, struct buf *out)
{
	metrics_gauge(out, "imaged_pulls_running", "Pulls that run.", atomic_load(&images->running_pulls));
	metrics_gauge(out, "imaged_pushes_running", "Pushes that run.", atomic_load(&images->pushes.admitted));
	metrics_gauge(out, "imaged_builds_running", "Builds that run.", atomic_load(&images->build.admission.admitted));
	metrics_gauge(out, "imaged_transfers_active", "Transfers of blobs that wait, run or end.",
		      (double)transfers_running(images->transfers));
}

/* ---- the store ---- */

static void collect_sizes(struct store *store, struct buf *out)
{
	struct store_used all, layers;

	store_used_layers(store, &layers);
	store_used(store, &all);
	metrics_family(out, "imaged_store_bytes", "gauge", "Bytes of what the store keeps.");
	buf_printf(out, "imaged_store_bytes{kind=\"content\"} %" PRId64 "\n", all.bytes - layers.bytes);
	buf_printf(out, "imaged_store_bytes{kind=\"layers\"} %" PRId64 "\n", layers.bytes);
	metrics_family(out, "imaged_store_files", "gauge", "Files of what the store keeps.");
	buf_printf(out, "imaged_store_files{kind=\"content\"} %" PRId64 "\n", all.files - layers.files);
	buf_printf(out, "imaged_store_files{kind=\"layers\"} %" PRId64 "\n", layers.files);
}

static void collect_store(const struct image_service *images, struct buf *out)
{
	int64_t total = 0, available = 0, records = 0;

	collect_sizes(images->store, out);
	metrics_gauge(out, "imaged_images", "Images, also those without a name.",
		      (double)store_image_count(images->store));
	metrics_gauge(out, "imaged_image_names", "Names of images.", (double)store_name_count(images->store));
	if (store_disk(images->store, &total, &available, NULL) == OK) {
		metrics_gauge(out, "imaged_store_filesystem_size_bytes", "Size of the store's file system.",
			      (double)total);
		metrics_gauge(out, "imaged_store_filesystem_avail_bytes", "What is free of it.", (double)available);
	}
	if (images->build.step_cache && step_cache_count(images->build.step_cache, &records, NULL) == OK)
		metrics_gauge(out, "imaged_build_cache_records", "Results of steps that are kept for builds to come.",
			      (double)records);
}

void metrics_collect(const struct metrics_sources *s, struct buf *out)
{
	metrics_family(out, "imaged_build_info", "gauge", "1, labelled with versions.");
	buf_printf(out, "imaged_build_info{version=\"" IMAGED_VERSION "\",grpc=\"%s\"} 1\n", rpc_library_version());
	metrics_collect_calls(s->server, out);
	collect_counters(out);
	collect_pools(s, out);
	collect_operations(s->images, out);
	collect_store(s->images, out);
	metrics_collect_process(s->images->started_ns, out);
}
