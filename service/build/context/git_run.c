#include "service/build/context/git_run.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "proto/runtime/clock.h"
#include "proto/runtime/spawn.h"

enum { ENVIRONMENT_MAX = 12, WORDS_MAX = GIT_ARGUMENTS_MAX + 32, LOOK_MS = 500, VARIABLE_MAX = 4096 + 32 };

/* ---- the budget ------------------------------------------------------------------------ */

/* Of its packs, also while they come. */
static int64_t bytes_fetched(const struct git *g)
{
	CLEANUP(freep) char *path = format("%s/objects/pack", g->directory);
	DIR *dir = path ? opendir(path) : NULL;
	struct dirent *e;
	int64_t bytes = 0;
	struct stat st;

	if (!dir)
		return 0;
	while ((e = readdir(dir)))
		if (!fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode))
			bytes += st.st_size;
	closedir(dir);
	return bytes;
}

static int check_budget(const struct git *g, int64_t bytes, struct err *err)
{
	if (bytes > g->budget->bytes)
		return fail(err, E_LIMIT, "git: the repository has more bytes than a build may fetch");
	if (clock_monotonic_ms() > g->budget->until_ms)
		return fail(err, E_LIMIT, "git: the repository took longer than a build may fetch");
	return OK;
}

int git_spend(const struct git *g, struct err *err)
{
	int64_t bytes = bytes_fetched(g);
	int r = check_budget(g, bytes, err);

	g->budget->bytes -= bytes;
	return r;
}

static int look(struct git_process *p, struct err *err)
{
	int64_t now = clock_monotonic_ms();

	if (now < p->look_ms)
		return OK;
	p->look_ms = now + LOOK_MS;
	return check_budget(p->git, bytes_fetched(p->git), err);
}

/* ---- start --------------------------------------------------------------------------- */

static const char *const own_options[] = {
	"-c", "core.hooksPath=/dev/null",
	"-c", "core.fsmonitor=false",
	"-c", "credential.helper=",
	"-c", "gc.auto=0",
	"-c", "http.followRedirects=initial",
	"-c", "fetch.recurseSubmodules=false",
	"-c", "fetch.unpackLimit=1", /* what comes is in packs: git_spend() */
	"-c", "tar.umask=0022",
	"-c", "core.attributesFile=/dev/null",
};

static int set_words(const struct git *g, const char *const *args, const char *words[WORDS_MAX], struct err *err)
{
	size_t n = 0;

	words[n++] = g->program;
	for (size_t i = 0; i < ARRAY_LEN(own_options); i++)
		words[n++] = own_options[i];
	for (; *args; args++) {
		if (n + 1 >= WORDS_MAX)
			return fail(err, E_INTERNAL, "git: too many arguments");
		words[n++] = *args;
	}
	words[n] = NULL;
	return OK;
}

struct environment {
	char home[VARIABLE_MAX], path[VARIABLE_MAX], protocols[VARIABLE_MAX];
	const char *list[ENVIRONMENT_MAX];
};

static void set_environment(const struct git *g, struct environment *e)
{
	const char *path = getenv("PATH");
	size_t n = 0;

	snprintf(e->home, sizeof e->home, "HOME=%s", g->directory);
	snprintf(e->path, sizeof e->path, "PATH=%s", path ? path : "/usr/local/bin:/usr/bin:/bin");
	snprintf(e->protocols, sizeof e->protocols, "GIT_ALLOW_PROTOCOL=%s", g->protocols);
	e->list[n++] = e->home;
	e->list[n++] = e->path;
	e->list[n++] = e->protocols;
	e->list[n++] = "GIT_CONFIG_NOSYSTEM=1";
	e->list[n++] = "GIT_CONFIG_GLOBAL=/dev/null";
	e->list[n++] = "GIT_ATTR_NOSYSTEM=1";
	e->list[n++] = "GIT_TERMINAL_PROMPT=0";
	e->list[n++] = "GIT_ASKPASS=/bin/false";
	e->list[n++] = "GIT_DIR=.";
	e->list[n++] = "LC_ALL=C";
	e->list[n] = NULL;
}

static int spawn(const struct git *g, const char *const *words, int out, int errors, pid_t *ret_pid)
{
	struct environment environment = { .list = { NULL } };
	const struct spawn s = {
		.program = g->program,
		.argv = words,
		.environment = environment.list,
		.fds = { -1, out, errors },
		.n_fds = STDERR_FILENO + 1,
		.directory = g->directory,
		.group = SPAWN_OWN_GROUP, /* so that all it starts can be ended */
	};

	set_environment(g, &environment);
	return spawn_program(&s, ret_pid);
}

static void wake(void *process)
{
	eventfd_write(((struct git_process *)process)->wake, 1);
}

static int open_pipes(struct git_process *p, int *ret_out, int *ret_errors, struct err *err)
{
	int out[2], errors[2];

	if (pipe2(out, O_CLOEXEC))
		return fail_errno(err, "make a pipe for git");
	p->out = out[0];
	*ret_out = out[1];
	if (pipe2(errors, O_CLOEXEC))
		return fail_errno(err, "make a pipe for git");
	p->errors = errors[0];
	*ret_errors = errors[1];
	p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->piece = malloc(GIT_PIECE_BYTES);
	if (p->wake < 0)
		return fail_errno(err, "make an eventfd");
	return p->piece ? OK : fail_nomem(err);
}

static int start(const struct git *g, const char *const *args, struct git_process *p, struct err *err)
{
	const char *words[WORDS_MAX];
	CLEANUP(closep) int out = -1;
	CLEANUP(closep) int errors = -1;
	int r = set_words(g, args, words, err);

	if (r == OK)
		r = open_pipes(p, &out, &errors, err);
	if (r != OK)
		return r;
	errno = spawn(g, words, out, errors, &p->pid);
	if (!errno)
		return OK;
	p->pid = 0;
	if (errno == ENOENT)
		return fail(err, E_UNSUPPORTED, "git is not installed where imaged runs: contexts out of git need it");
	return fail_errno(err, "start git");
}

int git_start(const struct git *g, const char *const *args, struct git_process *ret_process, struct err *err)
{
	struct git_process *p = ret_process;
	int r;

	*p = (struct git_process){ .git = g, .out = -1, .errors = -1, .wake = -1, .said = BUF_INIT(GIT_SAID_MAX) };
	p->hook = (struct cancel_hook){ .fn = wake, .arg = p };
	r = start(g, args, p, err);
	if (r == OK && g->cancel)
		cancel_hook(g->cancel, &p->hook);
	if (r != OK)
		git_end(p);
	return r;
}

/* ---- what it says ---------------------------------------------------------------------- */

/* Keeps the end of it. */
static void hear(struct git_process *p)
{
	uint8_t text[1024];
	ssize_t n = read(p->errors, text, sizeof text);

	if (n <= 0) {
		if (n == 0 || errno != EINTR) {
			close(p->errors);
			p->errors = -1;
		}
		return;
	}
	if (p->said.len + (size_t)n > GIT_SAID_MAX) {
		size_t keep = GIT_SAID_MAX / 2;

		memmove(p->said.data, p->said.data + p->said.len - keep, keep);
		p->said.len = keep;
	}
	buf_append(&p->said, text, (size_t)n);
}

/* The last line of it, printable. */
static const char *last_line(struct git_process *p)
{
	char *text = (char *)p->said.data, *line;

	if (!text)
		return "it gave no reason";
	while (p->said.len && text[p->said.len - 1] <= ' ' && text[p->said.len - 1] >= 0)
		text[--p->said.len] = 0;
	for (size_t i = 0; i < p->said.len; i++)
		if ((text[i] < ' ' && text[i] != '\n') || text[i] == 0x7f)
			text[i] = '?';
	line = strrchr(text, '\n');
	return line ? line + 1 : text;
}

static int finish(struct git_process *p, struct err *err)
{
	int status = 0;

	while (p->errors >= 0)
		hear(p);
	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		;
	p->pid = 0;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return OK;
	if (WIFSIGNALED(status))
		return fail(err, E_UNKNOWN, "git was ended by signal %d", WTERMSIG(status));
	return fail(err, E_UNKNOWN, "git: %.512s", last_line(p));
}

/* 1 when there is something to read of its output. */
static int wait_output(struct git_process *p, struct err *err)
{
	struct pollfd fds[] = {
		{ .fd = p->out, .events = POLLIN },
		{ .fd = p->errors, .events = POLLIN },
		{ .fd = p->wake, .events = POLLIN },
	};

	if (cancel_check(p->git->cancel, err) < 0 || look(p, err) < 0)
		return err->code;
	if (poll(fds, ARRAY_LEN(fds), LOOK_MS) < 0)
		return errno == EINTR ? 0 : fail_errno(err, "wait for git");
	if (fds[1].revents)
		hear(p);
	return fds[0].revents != 0;
}

int git_read(struct git_process *p, struct bytes *ret_data, struct err *err)
{
	struct err local = ERR_INIT, *e = err ? err : &local;
	ssize_t n;
	int r;

	while ((r = wait_output(p, e)) == 0)
		;
	if (r < 0)
		return r;
	do
		n = read(p->out, p->piece, GIT_PIECE_BYTES);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail_errno(e, "read from git");
	*ret_data = (struct bytes){ p->piece, (size_t)n };
	return n ? 1 : finish(p, e);
}

void git_end(struct git_process *p)
{
	if (p->git && p->git->cancel)
		cancel_unhook(p->git->cancel, &p->hook);
	if (p->pid) {
		kill(-p->pid, SIGKILL);
		while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	closep(&p->out);
	closep(&p->errors);
	closep(&p->wake);
	buf_free(&p->said);
	free(p->piece);
	*p = (struct git_process){ .out = -1, .errors = -1, .wake = -1 };
}

int git_run(const struct git *g, const char *const *args, struct buf *out, struct err *err)
{
	CLEANUP(git_end) struct git_process p;
	struct bytes data;
	int r = git_start(g, args, &p, err);

	while (r == OK && (r = git_read(&p, &data, err)) > 0)
		r = !out || buf_append(out, data.data, data.len) ? OK : fail(err, E_LIMIT, "git says too much");
	return r;
}
