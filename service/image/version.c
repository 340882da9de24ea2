/* GetVersion and GetInfo. */
#include <curl/curl.h>
#include <jansson.h>
#include <lmdb.h>
#include <openssl/crypto.h>
#include <sys/utsname.h>

#include "service/image/convert.h"
#include "service/image/image_service.h"
#include "service/rpc/server.h"
#include "store/cache/step_cache.h"
#include "store/usage.h"

static Imaged__V1__Platform *platform_of(struct arena *a, const struct platform *p)
{
	Imaged__V1__Platform *m = arena_alloc(a, sizeof *m);

	if (!m)
		return NULL;
	imaged__v1__platform__init(m);
	m->os = arena_string(a, p->os);
	m->architecture = arena_string(a, p->architecture);
	m->variant = arena_string(a, p->variant);
	return m->os && m->architecture && m->variant ? m : NULL;
}

static int add_component(struct arena *a, Imaged__V1__GetVersionResponse *m, const char *name, const char *version,
			 struct err *err)
{
	Imaged__V1__GetVersionResponse__ComponentsEntry *entry = arena_alloc(a, sizeof *entry);

	if (!entry)
		return fail_nomem(err);
	imaged__v1__get_version_response__components_entry__init(entry);
	entry->key = arena_string(a, name);
	entry->value = arena_string(a, version);
	if (!entry->key || !entry->value)
		return fail_nomem(err);
	m->components[m->n_components++] = entry;
	return OK;
}

/* The libraries of this process; the layer worker has others. */
static int add_components(struct arena *a, Imaged__V1__GetVersionResponse *m, struct err *err)
{
	char lmdb[32];
	int major, minor, patch;
	const struct {
		const char *name, *version;
	} rows[] = {
		{ "gRPC", rpc_library_version() },
		{ "protobuf-c", protobuf_c_version() },
		{ "libcurl", curl_version_info(CURLVERSION_NOW)->version },
		{ "OpenSSL", OpenSSL_version(OPENSSL_VERSION_STRING) },
		{ "LMDB", lmdb },
		{ "jansson", jansson_version_str() },
	};

	mdb_version(&major, &minor, &patch);
	snprintf(lmdb, sizeof lmdb, "%d.%d.%d", major, minor, patch);
	m->components = arena_array(a, ARRAY_LEN(rows), sizeof *m->components);
	if (!m->components)
		return fail_nomem(err);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (add_component(a, m, rows[i].name, rows[i].version, err) < 0)
			return err->code;
	return OK;
}

int get_version(void *self, struct rpc_call *call, UNUSED const Imaged__V1__GetVersionRequest *request,
		Imaged__V1__GetVersionResponse *response, struct err *err)
{
	struct image_service *service = self;
	struct arena *a = NULL;
	struct utsname kernel;

	if (answer_arena(call, &a, err) < 0)
		return err->code;
	if (uname(&kernel) < 0)
		return fail_errno(err, "uname");
	response->version = (char *)IMAGED_VERSION;
	response->api_version = (char *)"v1";
	response->git_commit = (char *)IMAGED_GIT_COMMIT;
	response->platform = platform_of(a, &service->platform);
	response->kernel = arena_string(a, kernel.release);
	if (!response->platform || !response->kernel)
		return fail_nomem(err);
	return add_components(a, response, err);
}

static int add_mounts(struct image_service *service, struct arena *a, Imaged__V1__GetInfoResponse *m, struct err *err)
{
	const struct probe *p = mounts_probe(service->mounts);
	struct mount_entry *entries;
	size_t n;

	if (mounts_list(service->mounts, a, &entries, &n, err) < 0)
		return err->code;
	m->mounts = (int64_t)n;
	m->mount_ways = (Imaged__V1__MountWay *)p->ways;
	m->n_mount_ways = p->n_ways;
	if (!p->n_ways)
		m->mount_problem = (char *)p->problem;
	return OK;
}

static int add_builds(struct image_service *service, Imaged__V1__GetInfoResponse *m, struct err *err)
{
	struct build_parts *b = &service->build;

	m->running_builds = atomic_load(&b->admission.admitted);
	m->build_cache_max_bytes = b->cache_max_bytes < 0 ? 0 : b->cache_max_bytes;
	return b->step_cache ? step_cache_count(b->step_cache, &m->build_cache_count, err) : OK;
}

int get_info(void *self, struct rpc_call *call, UNUSED const Imaged__V1__GetInfoRequest *request,
	     Imaged__V1__GetInfoResponse *response, struct err *err)
{
	enum { NS_PER_S = 1000000000 };
	struct image_service *service = self;
	struct arena *a = NULL;

	if (answer_arena(call, &a, err) < 0 ||
	    store_disk(service->store, &response->disk_total_bytes, &response->disk_free_bytes, err) < 0)
		return err->code;
	response->root = arena_string(a, store_root(service->store));
	response->listeners = (char **)service->listeners;
	response->n_listeners = service->n_listeners;
	response->platform = platform_of(a, &service->platform);
	response->images = store_image_count(service->store);
	response->names = store_name_count(service->store);
	response->running_pulls = atomic_load(&service->running_pulls);
	response->store_format = STORE_FORMAT;
	response->insecure_registries = (char **)service->insecure_registries;
	response->n_insecure_registries = service->n_insecure_registries;
	response->started = time_message(a, service->started_ns / NS_PER_S, (int32_t)(service->started_ns % NS_PER_S));
	response->sandbox = (char *)service->sandbox;
	response->no_layers = service->no_layers;
	response->cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (add_mounts(service, a, response, err) < 0 || add_builds(service, response, err) < 0)
		return err->code;
	return response->root && response->platform && response->started ? OK : fail_nomem(err);
}
