#include "service/build/run/worker/runtime.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sys/wait.h>

#include "proto/runtime/spawn.h"
#include "service/build/run/worker/console.h"
#include "service/build/run/worker/descriptors.h"
#include "service/build/run/worker/runtime_program.h"

#define PID_FILE "state/pid"

enum { ARGS_MAX = 20, LOG_MAX = 64 << 10, NOT_EXECUTABLE = 126, NOT_FOUND = 127 };

/* ---- start ---------------------------------------------------------------------- */

static int spawn(const struct runtime *r, const char *const *argv, pid_t *ret_pid)
{
	bool mounted = !r->is_runc && runtime_program_mount(r->program);
	const char *const environment[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
					    mounted ? RUNTIME_PROGRAM_ENVIRONMENT : NULL, NULL };
	const struct spawn s = {
		.program = mounted ? RUNTIME_PROGRAM : r->program,
		.argv = argv,
		.environment = environment,
		.fds = { -1, r->has_terminal ? -1 : r->out, r->errors },
		.n_fds = STDERR_FILENO + 1,
	};
	int number = spawn_program(&s, ret_pid);

	if (mounted)
		runtime_program_unmount();
	return number;
}

/* Paths in the workspace that the runtime is told. */
struct places {
	char *state, *bundle, *log, *console, *pid;
};

static void places_free(struct places *p)
{
	free(p->state);
	free(p->bundle);
	free(p->log);
	free(p->console);
	free(p->pid);
}

static int places_make(const struct runtime *r, struct places *p, struct err *err)
{
	*p = (struct places){ .state = format("%s/state", r->workspace),
			      .bundle = format("%s/bundle", r->workspace),
			      .log = format(r->is_runc ? "%s/state/log" : "file:%s/state/log", r->workspace),
			      .console = format("%s/state/console", r->workspace),
			      .pid = format("%s/" PID_FILE, r->workspace) };
	return p->state && p->bundle && p->log && p->console && p->pid ? OK : fail_nomem(err);
}

/* With a terminal, runc has to be told to go, and crun is too. */
static size_t put_terminal(const struct places *p, const char **argv)
{
	const char *const words[] = { "--detach", "--console-socket", p->console, "--pid-file", p->pid };

	memcpy(argv, words, sizeof words);
	return ARRAY_LEN(words);
}

/* Both take the same words; only how they are told to leave cgroups alone differs (runc cannot be). */
static int start(const struct runtime *r, const struct places *p, pid_t *ret_pid, struct err *err)
{
	const char *argv[ARGS_MAX];
	size_t n = 0;
	int number;

	argv[n++] = r->program;
	argv[n++] = "--root";
	argv[n++] = p->state;
	argv[n++] = "--log";
	argv[n++] = p->log;
	argv[n++] = "--log-format";
	argv[n++] = "json";
	if (!r->is_runc)
		argv[n++] = "--cgroup-manager=disabled";
	argv[n++] = "run";
	argv[n++] = "--bundle";
	argv[n++] = p->bundle;
	if (r->has_terminal)
		n += put_terminal(p, argv + n);
	argv[n++] = r->id;
	argv[n] = NULL;
	descriptors_restore();
	number = spawn(r, argv, ret_pid);
	return number ? fail(err, E_UNSUPPORTED, "cannot start the OCI runtime %s: %s", r->program,
			     strerrordesc_np(number))
		      : OK;
}

/* ---- end ------------------------------------------------------------------------------ */

/* What the container leaves behind becomes ours, and is reaped too. */
static int await(pid_t pid, struct err *err)
{
	int status;

	for (;;) {
		pid_t ended = waitpid(-1, &status, 0);

		if (ended < 0 && errno != EINTR)
			return fail_errno(err, "wait for the OCI runtime");
		if (ended == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}

static bool has(const char *text, const char *part)
{
	return strcasestr(text, part) != NULL;
}

int runtime_start_failure(const char *message)
{
	/* crun: "open executable: ...", "executable file `x` not found in $PATH", "exec container process";
	 * runc: "exec: \"x\": executable file not found in $PATH", "exec /x: no such file". */
	if (!has(message, "exec"))
		return 0;
	if (has(message, "not found in $PATH") || has(message, "no such file or directory"))
		return NOT_FOUND;
	if (has(message, "permission denied") || has(message, "operation not permitted") ||
	    has(message, "is a directory") || has(message, "exec format error"))
		return NOT_EXECUTABLE;
	return 0;
}

/* The last error in its log, a line of JSON each; "" when there is none. */
static void read_last_error(char *out, size_t size)
{
	CLEANUP(closep) int fd = open("state/log", O_RDONLY | O_CLOEXEC);
	char text[LOG_MAX], *rest = text, *line;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	out[0] = 0;
	text[n > 0 ? n : 0] = 0;
	while ((line = strsep(&rest, "\n"))) {
		json_t *entry = json_loads(line, 0, NULL);
		const char *level = json_string_value(json_object_get(entry, "level"));
		const char *message = json_string_value(json_object_get(entry, "msg"));

		if (level && message && !strcmp(level, "error"))
			snprintf(out, size, "%s", message);
		json_decref(entry);
	}
}

static int judge(const struct runtime *r, int exit_code, struct run_report *report, struct err *err)
{
	char message[RUN_TEXT_MAX];

	report->exit_code = exit_code;
	if (!exit_code)
		return OK;
	read_last_error(message, sizeof message);
	if (!message[0])
		return OK;
	report->exit_code = runtime_start_failure(message);
	if (!report->exit_code)
		return fail(err, E_WORKER, "%s: %s", r->is_runc ? "runc" : "crun", message);
	memcpy(report->text, message, sizeof report->text);
	return OK;
}

/* ---- with a terminal -------------------------------------------------------------------- */

static int hand_over(const struct runtime *r, int listener, pid_t pid, struct err *err)
{
	CLEANUP(closep) int terminal = -1;
	int rc = console_take(listener, pid, &terminal, err);

	return rc == OK && terminal >= 0 ? run_send_descriptor(r->out, terminal, err) : rc;
}

/* The runtime alone: what it started is not to be waited for yet. */
static int await_runtime(pid_t pid, struct err *err)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail_errno(err, "wait for the OCI runtime");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int read_pid(pid_t *ret_pid, struct err *err)
{
	CLEANUP(closep) int fd = open(PID_FILE, O_RDONLY | O_CLOEXEC);
	char text[16] = "";
	long pid;

	if (fd < 0 || read(fd, text, sizeof text - 1) < 0)
		return fail_errno(err, "read what process the OCI runtime has started");
	pid = strtol(text, NULL, 10);
	if (pid <= 1)
		return fail(err, E_WORKER, "the OCI runtime does not say what process it has started");
	*ret_pid = (pid_t)pid;
	return OK;
}

static int run_with_terminal(const struct runtime *r, const struct places *p, struct run_report *report,
			     struct err *err)
{
	CLEANUP(closep) int listener = -1;
	pid_t pid;
	int exit_code, rc = console_listen(p->console, &listener, err);

	if (rc == OK)
		rc = start(r, p, &pid, err);
	if (rc == OK)
		rc = hand_over(r, listener, pid, err);
	if (rc != OK)
		return rc;
	exit_code = await_runtime(pid, err);
	if (exit_code)
		return exit_code < 0 ? exit_code : judge(r, exit_code, report, err);
	rc = read_pid(&pid, err);
	if (rc != OK)
		return rc;
	exit_code = await(pid, err);
	report->exit_code = exit_code < 0 ? 0 : exit_code;
	return exit_code < 0 ? exit_code : OK;
}

static int run_to_end(const struct runtime *r, const struct places *p, struct run_report *report, struct err *err)
{
	pid_t pid;
	int exit_code, rc = start(r, p, &pid, err);

	if (rc != OK)
		return rc;
	exit_code = await(pid, err);
	return exit_code < 0 ? exit_code : judge(r, exit_code, report, err);
}

int runtime_run(const struct runtime *r, struct run_report *report, struct err *err)
{
	CLEANUP(places_free) struct places p;
	int rc = places_make(r, &p, err);

	if (rc != OK)
		return rc;
	return r->has_terminal ? run_with_terminal(r, &p, report, err) : run_to_end(r, &p, report, err);
}
