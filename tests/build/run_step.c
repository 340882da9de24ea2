/*
 * run_step FILE         runs the step that a JSON file describes
 * run_step -shell FILE  runs its command in a terminal: standard input is typed, SIGUSR1 makes it 100 by 40
 * run_step -layer FILE  writes its layer to standard output
 * run_step -remove FILE empties the directory of a step
 * run_step -repeat FILE runs it as often as "repeat" says, and tells how long each took
 * run_step -sweep FILE  removes what killed steps left
 *
 * A step's output goes where it came from. At the end one line of JSON comes on the descriptor
 * RUN_STEP_RESULT: the result or the failure. SIGTERM cancels. RUN_STEP_PROGRAM names imaged-run.
 *
 * FILE: {"id", "lowers": [PATH], "directory", "workspace", "args": [], "env": [], "cwd", "user", "network",
 *        "insecure", "hosts": [], "hostname", "runtime", "single_id", "latest", "parent",
 *        "mounts": [{"type", "target", "source", "rw", "size", "content", "mode", "uid", "gid", "layers": [PATH],
 *        "path", "fill"}],
 *        "limits": {"memory", "memory_swap", "cpu_quota", "cpu_period", "cpu_shares", "cpus", "mems", "pids", "shm",
 *        "ulimits": [[NAME, SOFT, HARD]]}, "repeat", "columns", "rows", "detached": lowers as mounts that are nowhere}
 */
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "service/build/run/run.h"
#include "service/build/run/shell.h"

enum { KEPT_MAX = 4096, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static struct cancel *token;
static struct run_terminal *terminal;

/* What lives as long as the program is no leak. */
static void *kept(void *p)
{
	static void *all[KEPT_MAX];
	static size_t n;

	if (!p || n == KEPT_MAX)
		abort();
	return all[n++] = p;
}

/* ---- JSON ------------------------------------------------------------------------ */

static const char *text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static int64_t number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static const char *const *list(const json_t *o, const char *key)
{
	const json_t *array = json_object_get(o, key);
	const char **all = kept(calloc(json_array_size(array) + 1, sizeof *all));

	for (size_t i = 0; i < json_array_size(array); i++)
		all[i] = json_string_value(json_array_get(array, i));
	return array ? all : NULL;
}

/* ---- output ------------------------------------------------------------------------ */

static int put(void *arg, enum run_stream stream, struct bytes piece, struct err *err)
{
	(void)arg;
	while (piece.len) {
		ssize_t n = write((int)stream, piece.data, piece.len);

		if (n < 0)
			return fail_errno(err, "write output");
		piece = (struct bytes){ piece.data + n, piece.len - (size_t)n };
	}
	return OK;
}

static int put_layer(void *arg, struct bytes piece, struct err *err)
{
	return put(arg, RUN_STDOUT, piece, err);
}

static int result_fd(void)
{
	const char *number = getenv("RUN_STEP_RESULT");

	return number ? (int)strtol(number, NULL, 10) : STDERR_FILENO;
}

static void say(json_t *o)
{
	char *line = json_dumps(o, JSON_COMPACT);

	if (line)
		dprintf(result_fd(), "%s\n", line);
	free(line);
	json_decref(o);
}

static int say_failed(const struct err *err)
{
	say(json_pack("{s:s, s:s}", "failed", err_reason(err->code), "text", err->text));
	return EXIT_FAILED;
}

/* ---- the step ------------------------------------------------------------------------ */

static enum run_mount_type type_of(const char *name)
{
	static const char *const names[] = { "bind", "cache", "tmpfs", "file", "socket" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(name, names[i]))
			return (enum run_mount_type)i;
	abort();
}

static const int *open_layers(const json_t *o, const char *key, bool detached, size_t *ret_n)
{
	const char *const *paths = list(o, key);
	int *all = kept(calloc(json_array_size(json_object_get(o, key)) + 1, sizeof *all));
	size_t n = 0;

	for (; paths && paths[n]; n++) {
		struct stat st;
		int flags = !stat(paths[n], &st) && S_ISREG(st.st_mode) ? O_RDONLY : O_PATH;

		all[n] = detached ? open_tree(AT_FDCWD, paths[n], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
				  : open(paths[n], flags | O_CLOEXEC);
		if (all[n] < 0)
			abort();
	}
	*ret_n = n;
	return all;
}

static void read_mounts(const json_t *o, struct run_step *s)
{
	const json_t *array = json_object_get(o, "mounts");
	struct run_mount *all = kept(calloc(json_array_size(array) + 1, sizeof *all));

	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *m = json_array_get(array, i);
		const char *source = text(m, "source"), *content = text(m, "content");

		all[i] = (struct run_mount){ .type = type_of(text(m, "type")),
					     .target = text(m, "target"),
					     .source = source ? open(source, O_PATH | O_CLOEXEC) : -1,
					     .writable = json_is_true(json_object_get(m, "rw")),
					     .size = (uint64_t)number(m, "size"),
					     .content = bytes_of(content ? content : ""),
					     .mode = (uint32_t)number(m, "mode"),
					     .uid = (uint32_t)number(m, "uid"),
					     .gid = (uint32_t)number(m, "gid"),
					     .fill = json_is_true(json_object_get(m, "fill")),
					     .path = text(m, "path") };
		all[i].layers = open_layers(m, "layers", false, &all[i].n_layers);
	}
	s->mounts = all;
	s->n_mounts = json_array_size(array);
}

static void read_limits(const json_t *o, struct run_limits *l)
{
	const json_t *ulimits = json_object_get(o, "ulimits");
	struct run_ulimit *all = kept(calloc(json_array_size(ulimits) + 1, sizeof *all));

	for (size_t i = 0; i < json_array_size(ulimits); i++) {
		const json_t *u = json_array_get(ulimits, i);

		all[i] = (struct run_ulimit){ json_string_value(json_array_get(u, 0)),
					      (uint64_t)json_integer_value(json_array_get(u, 1)),
					      (uint64_t)json_integer_value(json_array_get(u, 2)) };
	}
	*l = (struct run_limits){ .memory = number(o, "memory"),
				  .memory_swap = number(o, "memory_swap"),
				  .cpu_quota = number(o, "cpu_quota"),
				  .cpu_period = number(o, "cpu_period"),
				  .cpu_shares = number(o, "cpu_shares"),
				  .cpuset_cpus = text(o, "cpus"),
				  .cpuset_mems = text(o, "mems"),
				  .pids = number(o, "pids"),
				  .shm_size = (uint64_t)number(o, "shm"),
				  .ulimits = all,
				  .n_ulimits = json_array_size(ulimits) };
}

static struct run_root read_root(const json_t *o)
{
	size_t n;
	const int *lowers = open_layers(o, "lowers", json_is_true(json_object_get(o, "detached")), &n);

	return (struct run_root){ .id = text(o, "id"),
				  .lowers = lowers,
				  .n_lowers = n,
				  .directory = open(text(o, "directory"), O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
}

static struct run_step read_step(const json_t *o)
{
	struct run_step s = {
		.root = read_root(o),
		.args = list(o, "args"),
		.env = list(o, "env"),
		.cwd = text(o, "cwd"),
		.user = text(o, "user"),
		.hostname = text(o, "hostname"),
		.network = text(o, "network") && !strcmp(text(o, "network"), "host") ? RUN_NETWORK_HOST
										     : RUN_NETWORK_NONE,
		.insecure = json_is_true(json_object_get(o, "insecure")),
		.extra_hosts = list(o, "hosts"),
	};

	read_mounts(o, &s);
	read_limits(json_object_get(o, "limits"), &s.limits);
	return s;
}

static struct run_config read_config(const json_t *o)
{
	return (struct run_config){ .program = getenv("RUN_STEP_PROGRAM"),
				    .workspace = text(o, "workspace"),
				    .runtime = text(o, "runtime"),
				    .cgroup_parent = text(o, "parent"),
				    .single_id = json_is_true(json_object_get(o, "single_id")) };
}

/* ---- what is asked ------------------------------------------------------------------------ */

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int say_result(const struct run_step *s, const struct run_result *result)
{
	const struct run_result r = *result;
	char failure[1024];

	run_describe_failure(s, &r, failure, sizeof failure);
	say(json_pack("{s:i, s:i, s:b, s:I, s:I, s:s, s:s}", "exit_code", r.exit_code, "signal", r.signal, "oom",
		      r.out_of_memory, "memory_peak", (json_int_t)r.memory_peak, "cpu_us", (json_int_t)r.cpu_us,
		      "message", r.message, "failure", r.exit_code ? failure : ""));
	return 0;
}

static int run(const json_t *o)
{
	const struct run_config c = read_config(o);
	const struct run_step s = read_step(o);
	const struct run_output out = { put, NULL };
	struct err err = ERR_INIT;
	struct run_result r;

	if (run_step(&c, &s, &out, token, &r, &err) != OK)
		return say_failed(&err);
	return say_result(&s, &r);
}

static void *type(void *arg)
{
	uint8_t piece[4096];
	struct err err = ERR_INIT;
	ssize_t n;

	(void)arg;
	while ((n = read(STDIN_FILENO, piece, sizeof piece)) > 0)
		if (run_terminal_type(terminal, (struct bytes){ piece, (size_t)n }, &err) != OK)
			cancel_fire(token, err.code);
	run_terminal_end(terminal);
	return NULL;
}

static int shell(const json_t *o)
{
	const struct run_config c = read_config(o);
	const struct run_step s = read_step(o);
	const struct run_output out = { put, NULL };
	struct err err = ERR_INIT;
	struct run_result r;
	pthread_t thread;

	if (run_terminal_new((unsigned)number(o, "columns"), (unsigned)number(o, "rows"), &terminal, &err) != OK ||
	    !kept(terminal))
		abort();
	if (json_is_true(json_object_get(o, "typed_before")))
		type(NULL);
	else if (pthread_create(&thread, NULL, type, NULL))
		abort();
	if (run_shell(&c, &s, terminal, &out, token, &r, &err) != OK)
		return say_failed(&err);
	return say_result(&s, &r);
}

/* How long each of several runs takes, in microseconds; each begins with an empty directory. */
static int repeat(const json_t *o)
{
	const struct run_config c = read_config(o);
	const struct run_step s = read_step(o);
	const struct run_output out = { put, NULL };
	json_t *times = json_array();
	struct err err = ERR_INIT;
	struct run_result r;

	for (int64_t i = 0; i <= number(o, "repeat"); i++) {
		int64_t begin = now_us();

		if (run_step(&c, &s, &out, token, &r, &err) != OK || r.exit_code)
			return say_failed(&err);
		if (i) /* the first one compiles a filter for all */
			json_array_append_new(times, json_integer(now_us() - begin));
		if (run_remove(&c, s.root.directory, &err) != OK)
			return say_failed(&err);
	}
	say(times);
	return 0;
}

static int write_layer(const json_t *o)
{
	const struct run_config c = read_config(o);
	const struct run_root root = read_root(o);
	const int64_t latest = number(o, "latest");
	const struct run_layer layer = { &root, json_object_get(o, "latest") ? &latest : NULL };
	const struct run_sink sink = { put_layer, NULL };
	struct err err = ERR_INIT;

	return run_write_layer(&c, &layer, &sink, token, &err) == OK ? 0 : say_failed(&err);
}

static int remove_all(const json_t *o)
{
	const struct run_config c = read_config(o);
	struct err err = ERR_INIT;
	int directory = open(text(o, "directory"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return run_remove(&c, directory, &err) == OK ? 0 : say_failed(&err);
}

static int sweep(const json_t *o)
{
	const struct run_config c = read_config(o);
	struct err err = ERR_INIT;
	unsigned removed;

	if (run_sweep(&c, "", &removed, &err) != OK)
		return say_failed(&err);
	say(json_pack("{s:i}", "removed", (int)removed));
	return 0;
}

static void *await_signal(void *arg)
{
	int signal;

	while (!sigwait(arg, &signal) && signal == SIGUSR1)
		run_terminal_resize(terminal, 100, 40);
	cancel_fire(token, E_CANCELLED);
	return NULL;
}

static bool catch_signals(void)
{
	static sigset_t set;
	pthread_t thread;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	return !pthread_sigmask(SIG_BLOCK, &set, NULL) && !pthread_create(&thread, NULL, await_signal, &set);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*act)(const json_t *);
	} modes[] = { { "-shell", shell },
		      { "-layer", write_layer },
		      { "-remove", remove_all },
		      { "-sweep", sweep },
		      { "-repeat", repeat } };
	json_t *o = argc > 1 ? json_load_file(argv[argc - 1], 0, NULL) : NULL;

	signal(SIGPIPE, SIG_IGN);
	token = cancel_new();
	if (!o || !kept(o) || !token || !catch_signals() || !getenv("RUN_STEP_PROGRAM"))
		return EXIT_USAGE;
	for (size_t i = 0; argc == 3 && i < ARRAY_LEN(modes); i++)
		if (!strcmp(argv[1], modes[i].name))
			return modes[i].act(o);
	return argc == 2 ? run(o) : EXIT_USAGE;
}
