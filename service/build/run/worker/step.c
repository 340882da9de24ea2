#include "service/build/run/worker/step.h"

#include <fcntl.h>

#include "proto/runtime/buf.h"
#include "service/build/diff/changes.h"
#include "service/build/run/worker/account.h"
#include "service/build/run/worker/net_files.h"
#include "service/build/run/worker/remove_tree.h"
#include "service/build/run/worker/runtime.h"
#include "service/build/run/worker/source.h"
#include "service/build/run/worker/spec.h"
#include "service/build/run/worker/stubs.h"

enum { NET_FILE_MAX = 1 << 20, HOSTS_MAX = 4096 };

struct running {
	const struct step_plan *plan;
	const Imaged__Run__RunStep *step;
	struct workspace workspace;
	struct account account;
	struct stubs stubs;
	bool has_resolv;
};

/* ---- check ------------------------------------------------------------------------ */

static bool is_clean_path(ProtobufCBinaryData path)
{
	return path.len && path.len < PATH_MAX && path.data[0] == '/' && !memchr(path.data, 0, path.len);
}

static bool needs_source(const Imaged__Run__RunMount *m)
{
	return m->kind == IMAGED__RUN__RUN_MOUNT_KIND__RUN_MOUNT_CACHE ||
	       m->kind == IMAGED__RUN__RUN_MOUNT_KIND__RUN_MOUNT_SOCKET ||
	       (m->kind == IMAGED__RUN__RUN_MOUNT_KIND__RUN_MOUNT_BIND && !m->has_tree);
}

/* `n` descriptors come with the mounts. */
static bool is_sound_tree(const Imaged__Run__RunMount *m, size_t n)
{
	bool may = m->kind == IMAGED__RUN__RUN_MOUNT_KIND__RUN_MOUNT_BIND ||
		   m->kind == IMAGED__RUN__RUN_MOUNT_KIND__RUN_MOUNT_CACHE;

	if (!m->has_tree)
		return !m->layers && !m->first_layer;
	if (!may || !is_clean_path(m->path) || m->layers > RUN_LAYERS_MAX)
		return false;
	return m->layers ? m->first_layer && m->first_layer <= n && m->layers <= n - m->first_layer + 1
			 : !m->first_layer;
}

static int check_mounts(const struct step_plan *p, size_t first, struct err *err)
{
	const Imaged__Run__RunStep *s = p->plan->step;
	size_t n = p->n_fds - first;

	for (size_t i = 0; i < s->n_mounts; i++) {
		const Imaged__Run__RunMount *m = s->mounts[i];

		if (!is_clean_path(m->target) || needs_source(m) != (m->source > 0) || m->source > n ||
		    !is_sound_tree(m, n))
			return fail(err, E_WORKER, "plan of a step: mount %zu makes no sense", i);
	}
	return OK;
}

int step_check(const struct step_plan *p, struct err *err)
{
	const Imaged__Run__RunPlan *plan = p->plan;
	size_t first = RUN_FD_LOWERS + (size_t)plan->lowers;

	if (plan->lowers > RUN_LAYERS_MAX || p->n_fds < first)
		return fail(err, E_WORKER, "plan of a step: it has %zu descriptors for %u layers", p->n_fds,
			    plan->lowers);
	if ((plan->step || plan->layer) == plan->remove)
		return fail(err, E_WORKER, "plan of a step: it says not what to do");
	if (plan->step && (!plan->step->n_args || !plan->step->runtime.len))
		return fail(err, E_WORKER, "plan of a step: there is nothing to run");
	return plan->step ? check_mounts(p, first, err) : OK;
}

/* ---- what it needs -------------------------------------------------------------------- */

static const char *text_of(ProtobufCBinaryData b, char *out, size_t size)
{
	snprintf(out, size, "%.*s", (int)min_size(b.len, size - 1), (const char *)b.data);
	return out;
}

static int resolve_user(struct running *r, struct err *err)
{
	char user[2 * ACCOUNT_NAME_MAX];
	struct account *a = &r->account;
	int rc = account_of_root(r->workspace.root, text_of(r->step->user, user, sizeof user), a, err);

	if (rc != OK || !r->plan->single_id)
		return rc;
	if (a->uid || a->gid)
		return fail(
			err, E_UNSUPPORTED,
			"user %u:%u: without root, and without ranges in /etc/subuid and /etc/subgid (and the package "
			"uidmap), a step can only be 0:0",
			a->uid, a->gid);
	a->n_groups = 0; /* setgroups is not allowed there */
	return OK;
}

/* systemd-resolved's own file names the resolvers behind its loopback address. */
static int add_resolv(struct running *r, struct err *err)
{
	static const char *const places[] = { "/run/systemd/resolve/resolv.conf", "/etc/resolv.conf" };
	CLEANUP(closep) int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(freep) char *text = NULL;
	CLEANUP(buf_free) struct buf out = BUF_INIT(NET_FILE_MAX);
	size_t len = 0;

	for (size_t i = r->step->host_network; !text && i < ARRAY_LEN(places); i++)
		in_root_read(host, places[i], NET_FILE_MAX / 2, &text, &len, NULL);
	if (!text)
		return OK; /* a host without one */
	if (!net_files_resolv((struct bytes){ (const uint8_t *)text, len }, r->step->host_network, &out))
		return fail_nomem(err);
	r->has_resolv = true;
	return workspace_add_file("resolv.conf", buf_bytes(&out), 0644, 0, 0, err);
}

static int add_hosts(struct running *r, struct err *err)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(NET_FILE_MAX);
	struct bytes extra[HOSTS_MAX];
	char hostname[256];
	int rc;

	if (r->step->n_hosts > HOSTS_MAX)
		return fail(err, E_LIMIT, "more than %d hosts for one step", HOSTS_MAX);
	for (size_t i = 0; i < r->step->n_hosts; i++)
		extra[i] = (struct bytes){ r->step->hosts[i].data, r->step->hosts[i].len };
	text_of(r->step->hostname, hostname, sizeof hostname);
	rc = net_files_hosts(hostname, extra, r->step->n_hosts, &out, err);
	return rc == OK ? workspace_add_file("hosts", buf_bytes(&out), 0644, 0, 0, err) : rc;
}

static int add_sources(struct running *r, struct err *err)
{
	const int *fds = step_lowers(r->plan) + r->plan->plan->lowers - 1; /* they count from 1 */
	int rc = OK;

	for (size_t i = 0; rc == OK && i < r->step->n_mounts; i++) {
		const Imaged__Run__RunMount *m = r->step->mounts[i];

		rc = source_add(&r->workspace,
				&(struct source){ i, m, m->source ? fds[m->source] : -1, fds + m->first_layer }, err);
	}
	return rc;
}

/* ---- mount points ------------------------------------------------------------------------ */

/* Whether a path is below another one, or it. */
static bool is_below(const char *path, const char *top)
{
	size_t len = strlen(top);

	return !strncmp(path, top, len) && (path[len] == '/' || !path[len]);
}

/* In a file system that will be mounted over the root: the runtime makes it there. */
static bool is_in_mount(const struct running *r, size_t number, const char *path)
{
	static const char *const usual[] = { "/proc", "/dev", "/sys" };
	char other[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(usual); i++)
		if (is_below(path, usual[i]))
			return true;
	for (size_t i = 0; i < r->step->n_mounts; i++) {
		text_of(r->step->mounts[i]->target, other, sizeof other);
		if (i != number && strcmp(other, path) != 0 && is_below(path, other))
			return true;
	}
	return false;
}

static bool is_directory_source(size_t number)
{
	char name[WORKSPACE_NAME_MAX];
	struct stat st;

	snprintf(name, sizeof name, "files/%zu", number);
	return !stat(name, &st) && S_ISDIR(st.st_mode);
}

static int make_asked(struct running *r, struct err *err)
{
	char target[PATH_MAX];
	int rc = OK;

	for (size_t i = 0; rc == OK && i < r->step->n_mounts; i++) {
		const Imaged__Run__RunMount *m = r->step->mounts[i];

		text_of(m->target, target, sizeof target);
		if (!is_in_mount(r, i, target))
			rc = stubs_make(
				&r->stubs, r->workspace.root, target,
				m->kind == IMAGED__RUN__RUN_MOUNT_KIND__RUN_MOUNT_TMPFS || is_directory_source(i), err);
	}
	return rc;
}

static int make_mount_points(struct running *r, struct err *err)
{
	static const struct {
		const char *path;
		bool is_directory;
	} usual[] = { { "/proc", true }, { "/dev", true }, { "/sys", true }, { "/etc/hosts", false } };
	int rc = OK;

	for (size_t i = 0; rc == OK && i < ARRAY_LEN(usual); i++)
		rc = stubs_make(&r->stubs, r->workspace.root, usual[i].path, usual[i].is_directory, err);
	if (rc == OK && r->has_resolv)
		rc = stubs_make(&r->stubs, r->workspace.root, "/etc/resolv.conf", false, err);
	return rc == OK ? make_asked(r, err) : rc;
}

/* The directory that the step begins in stays, as WORKDIR would have made it. */
static int make_cwd(struct running *r, struct err *err)
{
	char cwd[PATH_MAX];

	if (r->step->cwd.len >= sizeof cwd || !r->step->cwd.len || r->step->cwd.data[0] != '/')
		return fail(err, E_INVALID, "the working directory is no absolute path");
	text_of(r->step->cwd, cwd, sizeof cwd);
	return is_in_mount(r, SIZE_MAX, cwd) ? OK : in_root_make(r->workspace.root, cwd, true, NULL, err);
}

/* ---- its layer -------------------------------------------------------------------------------- */

static int write_all(void *arg, struct bytes piece, struct err *err)
{
	const int *fd = arg;

	while (piece.len) {
		ssize_t n = write(*fd, piece.data, piece.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "hand over a layer");
		piece = (struct bytes){ piece.data + n, piece.len - (size_t)n };
	}
	return OK;
}

static int write_changes(const struct step_plan *p, int lower, struct err *err)
{
	CLEANUP(closep) int upper = openat(p->fds[RUN_FD_DIRECTORY], "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int out = p->fds[RUN_FD_LAYER];
	const struct changes changes = {
		.upper = upper,
		.lower = lower,
		.clamp = p->plan->layer->clamp,
		.latest = p->plan->layer->latest,
		.write = write_all,
		.arg = &out,
	};

	return upper < 0 ? fail_errno(err, "open the changes of a step") : changes_write(&changes, err);
}

static int write_layer(const struct step_plan *p, struct workspace *w, struct err *err)
{
	CLEANUP(closep) int lower = -1;
	int rc = workspace_mount_lower(w, step_lowers(p), p->plan->lowers, &lower, err);

	return rc == OK ? write_changes(p, lower, err) : rc;
}

static int write_layer_alone(const struct step_plan *p, struct err *err)
{
	struct workspace w = WORKSPACE_INIT;
	int rc = workspace_make(&w, p->workspace, p->is_root, err);

	if (rc == OK)
		rc = write_layer(p, &w, err);
	workspace_free(&w);
	return rc;
}

/* ---- run -------------------------------------------------------------------------------------- */

static int write_spec(const struct running *r, struct err *err)
{
	const struct spec_input in = {
		.step = r->step,
		.account = &r->account,
		.workspace = r->workspace.path,
		.id = r->plan->id,
		.cgroup = r->step->is_runc && r->plan->is_root ? "runc" : NULL,
		.is_root = r->plan->is_root,
		.has_resolv = r->has_resolv,
		.has_hosts = true,
	};
	CLEANUP(freep) char *text = NULL;
	int rc = spec_write(&in, &text, err);

	return rc == OK ? workspace_add_file("../bundle/config.json", bytes_of(text), 0600, 0, 0, err) : rc;
}

static int prepare(struct running *r, struct err *err)
{
	int rc = workspace_mount_root(&r->workspace, r->plan->fds[RUN_FD_DIRECTORY], step_lowers(r->plan),
				      r->plan->plan->lowers, err);

	if (rc == OK)
		rc = resolve_user(r, err);
	if (rc == OK)
		rc = add_resolv(r, err);
	if (rc == OK)
		rc = add_hosts(r, err);
	if (rc == OK)
		rc = add_sources(r, err);
	if (rc == OK)
		rc = make_cwd(r, err);
	if (rc == OK)
		rc = make_mount_points(r, err);
	return rc == OK ? write_spec(r, err) : rc;
}

static int run_prepared(struct running *r, struct run_report *report, struct err *err)
{
	char program[PATH_MAX];
	const struct runtime runtime = {
		.program = text_of(r->step->runtime, program, sizeof program),
		.is_runc = r->step->is_runc,
		.workspace = r->workspace.path,
		.id = r->plan->id,
		.out = r->plan->fds[RUN_FD_OUT],
		.errors = r->plan->fds[RUN_FD_ERRORS],
		.has_terminal = r->step->terminal,
	};
	int rc = runtime_run(&runtime, report, err);

	stubs_remove(&r->stubs);
	return rc == OK ? workspace_unmount_root(&r->workspace, err) : rc;
}

static int run(const struct step_plan *p, struct run_report *report, struct err *err)
{
	CLEANUP(freep) struct running *r = calloc(1, sizeof *r);
	int rc;

	if (!r)
		return fail_nomem(err);
	r->plan = p;
	r->step = p->plan->step;
	r->workspace = (struct workspace)WORKSPACE_INIT;
	rc = workspace_make(&r->workspace, p->workspace, p->is_root, err);
	if (rc == OK)
		rc = prepare(r, err);
	if (rc == OK)
		rc = run_prepared(r, report, err);
	if (rc == OK && p->plan->layer && !report->exit_code)
		rc = write_layer(p, &r->workspace, err);
	stubs_free(&r->stubs);
	workspace_free(&r->workspace);
	return rc;
}

int step_run(const struct step_plan *p, struct run_report *report, struct err *err)
{
	if (p->plan->step)
		return run(p, report, err);
	if (p->plan->layer)
		return write_layer_alone(p, err);
	return remove_tree_content(p->fds[RUN_FD_DIRECTORY], err);
}
