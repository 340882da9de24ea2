/* imaged: puts the parts together, waits for a signal, takes them apart. */
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "proto/runtime/buf.h"
#include "proto/runtime/clock.h"
#include "proto/runtime/sanitize.h"
#include "service/api/binding.h"
#include "service/audit.h"
#include "service/build/session/build_parts.h"
#include "service/config/config.h"
#include "service/cri/cri.h"
#include "service/maintenance.h"
#include "service/metrics/endpoint.h"
#include "service/notify.h"
#include "service/rpc/grants.h"
#include "service/rpc/server.h"
#include "service/rpc/stats.h"
#include "store/image/pins.h"

enum { TRANSFER_THREADS = 32, SANDBOX_MAX = 128, NS_PER_US = 1000, NS_PER_MS = 1000 * 1000 };

struct daemon {
	struct config config;
	char worker_program[PATH_MAX];
	char run_program[PATH_MAX];
	char sandbox[SANDBOX_MAX];
	struct pins *pins;
	struct store *store;
	struct registry *registry;
	struct layer_files *layer_files;
	struct mounts *mounts;
	struct grants *grants;
	struct rpc_server *server;
	struct metrics_endpoint *metrics;
	struct maintenance *maintenance;
	struct image_service images;
	struct cri_service cri;
};

/* ---- the process ---------------------------------------------------------- */

/* Threads of libraries inherit the mask, so signals are blocked before any starts;
 * main waits for them. gRPC's tuning variables are not for a daemon's environment. */
static void prepare_process(sigset_t *ret_signals)
{
	static const char *const unwanted[] = { "GRPC_VERBOSITY",	  "GRPC_TRACE",
						"GRPC_POLL_STRATEGY",	  "GRPC_DNS_RESOLVER",
						"GRPC_SSL_CIPHER_SUITES", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH" };

	for (size_t i = 0; i < ARRAY_LEN(unwanted); i++)
		unsetenv(unwanted[i]);
	notify_init();
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(ret_signals);
	sigaddset(ret_signals, SIGTERM);
	sigaddset(ret_signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, ret_signals, NULL);
	mallopt(M_ARENA_MAX, 4); /* threads come and go; their arenas would stay */
#if !SANITIZED
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* credentials pass through: no core dumps */
#endif
}

static bool executable_at(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IXUSR);
}

/* Beside us in a build, in libexec when installed. */
static int find_worker(const char *name, char out[PATH_MAX], struct err *err)
{
	static const char *const places[] = { "", "../libexec/imaged/" };
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	if (n < 0)
		return fail_errno(err, "/proc/self/exe");
	self[n] = 0;
	*strrchr(self, '/') = 0;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		int len = snprintf(out, PATH_MAX, "%s/%s%s", self, places[i], name);

		if (len < PATH_MAX && executable_at(out))
			return OK;
	}
	return fail(err, E_NOT_FOUND, "the program %s is neither in %s nor in %s/../libexec/imaged; install it", name,
		    self, self);
}

/* ---- parts ---------------------------------------------------------------- */

static void log_call(void *arg, const struct rpc_event *e)
{
	const struct daemon *d = arg;
	static const enum log_level levels[] = {
		[ERR_LEVEL_INFO] = LOG_INFO, [ERR_LEVEL_WARN] = LOG_WARN, [ERR_LEVEL_ERROR] = LOG_ERROR
	};
	enum log_level level = e->err && !e->unheard ? levels[err_level(e->err->code)] : LOG_DEBUG;

	long long ms = e->ns / NS_PER_MS;
	const struct log_field fields[] = {
		{ .name = "method", .text = e->method },
		{ .name = "peer", .text = e->peer },
		{ .name = "code", .text = rpc_status_name(err_grpc_code(e->err ? e->err->code : OK)) },
		{ .name = "duration_us", .number = e->ns / NS_PER_US },
		{ .name = "reason", .text = e->err ? err_reason(e->err->code) : NULL },
	};

	if (!e->peer)
		log_event(level, fields, 1, "%s: %s", e->method, e->err->text);
	else if (e->err)
		log_event(level, fields, ARRAY_LEN(fields), "%s from %s after %lld ms: %s: %s", e->method, e->peer, ms,
			  err_reason(e->err->code), e->err->text);
	else
		log_event(level, fields, ARRAY_LEN(fields) - 1, "%s from %s after %lld ms: OK", e->method, e->peer, ms);
	if (!d->config.no_audit)
		audit_call(e);
}

/* The directory of a unix socket, since /run is empty after a boot. */
static int make_socket_directory(const char *address, struct err *err)
{
	const char *path = strncmp(address, "unix://", 7) ? NULL : address + 7;
	char *slash;
	CLEANUP(freep) char *directory = path ? strdup(path) : NULL;

	if (!directory)
		return OK;
	slash = strrchr(directory, '/');
	if (!slash || slash == directory)
		return OK;
	*slash = 0;
	for (char *p = directory + 1; p; p = strchr(p + 1, '/')) {
		char *end = strchr(p + 1, '/');

		if (end)
			*end = 0;
		if (mkdir(directory, 0755) == 0)
			(void)!chmod(directory, 0755); /* reachable for the socket's group, whatever the umask */
		else if (errno != EEXIST)
			return fail_errno(err, "directory %s for the socket", directory);
		if (!end)
			break;
		*end = '/';
	}
	return OK;
}

static int open_registry(struct daemon *d, struct err *err)
{
	struct registry_options options = {
		.insecure = (const char *const *)d->config.insecure_registry.items,
		.n_insecure = d->config.insecure_registry.n,
		.allow_foreign_urls = d->config.allow_foreign_urls,
		.hosts_dir = *d->config.hosts_dir ? d->config.hosts_dir : NULL,
		.mirrors = (const char *const *)d->config.registry_mirror.items,
		.n_mirrors = d->config.registry_mirror.n,
		.search_index = d->config.search_index,
		.hub_url = d->config.hub_url,
		.http = { .user_agent = "imaged/" IMAGED_VERSION },
	};

	return registry_new(&options, &d->registry, err);
}

/* A port that lets nobody in is a mistake, though a safe one. */
static void warn_of_closed_ports(const struct daemon *d)
{
	for (size_t i = 0; i < d->images.n_listeners && !grants_open_tcp(d->grants); i++)
		if (!strncmp(d->images.listeners[i], "tcp://", 6))
			log_line(LOG_WARN,
				 "no grant lets anybody in over %s: give one, as grant = [\"read:cn=viewer-*\"]",
				 d->images.listeners[i]);
}

static int open_server(struct daemon *d, struct err *err)
{
	struct rpc_server_options options = {
		.channelz = d->config.channelz,
		.grants = d->grants,
		.client = { .calls = d->config.client_calls_most,
			    .transfers = d->config.client_transfers_most,
			    .bytes = (uint64_t)d->config.client_bytes_most },
	};
	struct rpc_tls tls = {
		.cert_file = d->config.tls_cert,
		.key_file = d->config.tls_key,
		.client_ca_file = d->config.tls_client_ca,
		.allow_anonymous = d->config.tls_allow_anonymous,
	};
	const struct rpc_binding bindings[] = { image_service_binding(&d->images), cri_image_binding(&d->cri),
						cri_runtime_binding(&d->cri) };

	d->cri = (struct cri_service){
		.images = &d->images,
		.handlers = d->config.cri_runtime_handler.items,
		.n_handlers = d->config.cri_runtime_handler.n,
		.network_ready = d->config.cri_network_ready,
	};
	if (cri_kept_list_new(&d->cri.kept, err) < 0)
		return err->code;
	if (rpc_server_new(&options, log_call, d, &d->server, err) < 0)
		return err->code;
	for (size_t i = 0; i < ARRAY_LEN(bindings); i++)
		if (rpc_server_add(d->server, &bindings[i], err) < 0)
			return err->code;
	for (size_t i = 0; i < d->config.listen.n; i++) {
		const char *address = d->config.listen.items[i];

		if (make_socket_directory(address, err) < 0 || rpc_server_listen(d->server, address, &tls, err) < 0)
			return err->code;
	}
	d->images.n_listeners = rpc_server_addresses(d->server, &d->images.listeners);
	warn_of_closed_ports(d);
	return rpc_server_start(d->server, err);
}

/* What cannot be tidied up is no reason not to serve. */
static int open_mounts(struct daemon *d, struct err *err)
{
	struct err left = ERR_INIT;

	if (mounts_new(d->store, &d->mounts, err) < 0)
		return err->code;
	if (mounts_tidy(d->mounts, &left) < 0)
		log_line(LOG_WARN, "%s", left.text);
	return OK;
}

/* Of a store that is read-only there are none. */
static int open_builds(struct daemon *d, struct err *err)
{
	struct build_parts_options options = {
		.store = d->store,
		.registry = d->registry,
		.layer_files = d->layer_files,
		.worker_program = d->worker_program,
		.run = { .program = d->run_program,
			 .runtime = d->config.build_runtime,
			 .cgroup_parent = d->config.build_cgroup_parent },
		.parallel = d->config.build_parallel_steps,
	};

	int64_t disk = 0, available = 0;

	if (store_read_only(d->store))
		return OK;
	if (store_disk(d->store, &disk, &available, err) < 0 || find_worker("imaged-run", d->run_program, err) < 0 ||
	    build_parts_open(&options, &d->images.build, err) < 0)
		return err->code;
	d->images.build.cache_max_bytes = cache_limits_bytes(&d->config.build_cache_limits, disk);
	d->images.build.cgroup_parent = d->config.build_cgroup_parent;
	d->images.build.allow_host_network = d->config.build_allow_network_host;
	d->images.build.allow_insecure = d->config.build_allow_security_insecure;
	return OK;
}

static int start_maintenance(struct daemon *d, struct err *err)
{
	const struct maintenance_options options = {
		.store = d->store,
		.cache = { .steps = d->images.build.step_cache,
			   .mounts = d->images.build.cache_mounts,
			   .contexts = d->images.build.contexts },
		.limits = d->config.build_cache_limits,
	};

	return store_read_only(d->store) ? OK : maintenance_start(&options, &d->maintenance, err);
}

static int start_metrics(struct daemon *d, struct err *err)
{
	const struct metrics_sources sources = { .server = d->server, .images = &d->images };

	if (!d->config.metrics_listen)
		return OK;
	if (make_socket_directory(d->config.metrics_listen, err) < 0 ||
	    metrics_endpoint_start(d->config.metrics_listen, &sources, &d->metrics, err) < 0)
		return err->code;
	log_line(LOG_INFO, "metrics are at %s", metrics_endpoint_url(d->metrics));
	return OK;
}

/* Before the store is used; a rule that is none is told before it is opened. */
static int open_store(struct daemon *d, struct err *err)
{
	const struct pin_options options = {
		.names = d->config.pin.items,
		.n_names = d->config.pin.n,
		.labels = d->config.pin_label.items,
		.n_labels = d->config.pin_label.n,
		.sandbox_image = d->config.sandbox_image,
	};

	if (pins_new(&options, &d->pins, err) < 0 || store_open(d->config.root, &d->store, err) < 0)
		return err->code;
	store_set_pins(d->store, d->pins);
	return OK;
}

static int daemon_open(struct daemon *d, struct err *err)
{
	if (grants_new((const char *const *)d->config.grant.items, d->config.grant.n, &d->grants, err) < 0 ||
	    rpc_server_prepare(err) < 0 || find_worker("imaged-layer", d->worker_program, err) < 0 ||
	    open_store(d, err) < 0 || layer_probe(d->worker_program, d->sandbox, sizeof d->sandbox, err) < 0 ||
	    open_registry(d, err) < 0 || layer_files_new(d->store, d->worker_program, &d->layer_files, err) < 0 ||
	    open_mounts(d, err) < 0)
		return err->code;
	d->images = (struct image_service){
		.store = d->store,
		.registry = d->registry,
		.platform = platform_host(),
		.worker_program = d->worker_program,
		.layer_files = d->layer_files,
		.mounts = d->mounts,
		.sandbox = d->sandbox,
		.insecure_registries = d->config.insecure_registry.items,
		.n_insecure_registries = d->config.insecure_registry.n,
		.no_layers = d->config.no_layers,
		.started_ns = clock_wall_ns(),
	};
	if (transfers_new(d->store, TRANSFER_THREADS, &d->images.transfers, err) < 0 || open_builds(d, err) < 0 ||
	    open_server(d, err) < 0)
		return err->code;
	return start_metrics(d, err) < 0 ? err->code : start_maintenance(d, err);
}

static void daemon_close(struct daemon *d)
{
	if (d->server)
		rpc_server_drain(d->server);
	metrics_endpoint_stop(d->metrics);
	maintenance_stop(d->maintenance);
	rpc_server_free(d->server);
	cri_kept_list_free(d->cri.kept);
	grants_free(d->grants);
	build_parts_close(&d->images.build);
	transfers_free(d->images.transfers);
	mounts_free(d->mounts);
	layer_files_free(d->layer_files);
	registry_free(d->registry);
	store_close(d->store);
	pins_free(d->pins);
	config_free(&d->config);
}

/* The line that scripts wait for (DESIGN.md 3), whatever the log's format. */
static void say_ready(const struct daemon *d)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(64 * 1024);

	buf_puts(&line, "imaged " IMAGED_VERSION " ready: listening on");
	for (size_t i = 0; i < d->images.n_listeners; i++)
		buf_printf(&line, " %s", d->images.listeners[i]);
	buf_puts(&line, store_read_only(d->store) ? " (read-only store)\n" : "\n");
	(void)!write(STDERR_FILENO, buf_text(&line), line.len);
	notify_state("READY=1");
}

static int fail_start(const struct err *err)
{
	fprintf(stderr, "imaged: %s\n", err->text);
	if (err->code == E_USAGE)
		fputs("Run 'imaged --help' for more information\n", stderr);
	return err->code == E_USAGE ? err_exit_code(err->code) : 1;
}

/* The next signal. Until it comes, the service manager's watchdog is told that calls are taken:
 * each third of its time, so that one look that comes late does no harm. */
static int wait_signal(struct daemon *d, const sigset_t *signals)
{
	const int64_t ms = notify_watchdog_ms() / 3;
	const struct timespec interval = { ms / 1000, ms % 1000 * 1000000 };
	uint64_t polls = 0;
	int number;

	while ((number = ms ? sigtimedwait(signals, NULL, &interval) : sigwaitinfo(signals, NULL)) < 0) {
		uint64_t now = rpc_server_polls(d->server);

		if (now != polls)
			notify_state("WATCHDOG=1");
		polls = now;
	}
	return number;
}

static int run(struct daemon *d, const sigset_t *signals)
{
	struct err err;
	int number;

	if (daemon_open(d, &err) < 0) {
		daemon_close(d);
		return fail_start(&err);
	}
	say_ready(d);
	number = wait_signal(d, signals);
	notify_state("STOPPING=1");
	log_line(LOG_INFO, "%s: finishing the calls that run", sigabbrev_np(number));
	daemon_close(d);
	return 0;
}

/* Without the destructors of libraries whose threads may still run (rpc_server_free()).
 * Everything of ours is closed. */
static void __attribute__((noreturn)) end_process(int status)
{
#if SANITIZED
	exit(status);
#else
	_exit(status);
#endif
}

int main(int argc, char **argv)
{
	struct daemon d = { .store = NULL };
	enum config_action action;
	sigset_t signals;
	struct err err;

	prepare_process(&signals);
	if (config_load(argc, argv, &d.config, &action, &err) < 0)
		return fail_start(&err);
	switch (action) {
	case CONFIG_HELP:
		fputs(config_usage, stdout);
		return 0;
	case CONFIG_VERSION:
		puts("imaged " IMAGED_VERSION);
		return 0;
	case CONFIG_RUN:
		break;
	}
	log_init(d.config.level, !strcmp(d.config.log_format, "json"));
	end_process(run(&d, &signals));
}
