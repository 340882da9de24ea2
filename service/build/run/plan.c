#include "service/build/run/plan.h"

#include <ctype.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "proto/runtime/arena.h"
#include "proto/runtime/codec.h"
#include "service/build/run/protocol.h"
#include "service/build/run/seccomp_filter.h"

enum { PLAN_ARENA_MAX = 16 << 20, HOSTNAME_MAX = 64 };

/* ---- pieces ------------------------------------------------------------------------ */

static ProtobufCBinaryData text_of(const char *text)
{
	return (ProtobufCBinaryData){ text ? strlen(text) : 0, (uint8_t *)text };
}

/* A NULL-terminated list; NULL is an empty one. */
static int list_of(struct arena *a, const char *const *list, size_t *ret_n, ProtobufCBinaryData **ret_all,
		   struct err *err)
{
	size_t n = 0, bytes = 0;

	for (; list && list[n]; n++)
		bytes += strlen(list[n]);
	if (bytes > RUN_ARGS_MAX)
		return fail(err, E_LIMIT, "arguments or variables of %zu bytes; at most %d are possible", bytes,
			    RUN_ARGS_MAX);
	*ret_all = arena_array(a, n ? n : 1, sizeof **ret_all);
	if (!*ret_all)
		return fail_nomem(err);
	for (size_t i = 0; i < n; i++)
		(*ret_all)[i] = text_of(list[i]);
	*ret_n = n;
	return OK;
}

static int check_id(const char *id, struct err *err)
{
	size_t len = strlen(id);

	if (!len || len > RUN_ID_MAX || strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") != len || id[0] == '-')
		return fail(err, E_INVALID, "'%s' is no id of a step", id);
	return OK;
}

/* Names of directories below a hierarchy's root, and nothing that leads out of it. */
int plan_check_cgroup_parent(const char *parent, struct err *err)
{
	for (const char *at = parent; at;) {
		size_t len = strcspn(at, "/");

		if (!len || at[0] == '.' || len > NAME_MAX)
			return fail(err, E_INVALID, "'%.256s' is no name of a cgroup", parent);
		at = at[len] ? at + len + 1 : NULL;
	}
	return OK;
}

static int check_hostname(const char *name, struct err *err)
{
	size_t len = strlen(name);

	if (!len || len > HOSTNAME_MAX)
		return fail(err, E_INVALID, "the host name '%s' does not have 1 to %d bytes", name, HOSTNAME_MAX);
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("-._", name[i]))
			return fail(err, E_INVALID, "the host name '%s' has a character that is not allowed", name);
	return OK;
}

/* ---- runtime -------------------------------------------------------------------------- */

static bool is_program(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && st.st_mode & 0111;
}

static bool names_runc(const char *path)
{
	const char *slash = strrchr(path, '/');

	return !strncmp(slash ? slash + 1 : path, "runc", 4);
}

int plan_find_runtime(const char *configured, char *out, size_t size, bool *ret_is_runc, struct err *err)
{
	static const char *const places[] = { "/usr/bin/crun",	      "/usr/sbin/crun",	     "/usr/local/bin/crun",
					      "/usr/local/sbin/crun", "/usr/sbin/runc",	     "/usr/bin/runc",
					      "/usr/local/bin/runc",  "/usr/local/sbin/runc" };
	const char *found = configured;

	for (size_t i = 0; !found && i < ARRAY_LEN(places); i++)
		if (is_program(places[i]))
			found = places[i];
	if (!found)
		return fail(err, E_UNSUPPORTED, "RUN needs an OCI runtime: install crun (or runc)");
	if (found[0] != '/' || !is_program(found))
		return fail(err, E_UNSUPPORTED,
			    "the OCI runtime '%s' is no program: install it, or let --build-runtime name another one",
			    found);
	if ((size_t)snprintf(out, size, "%s", found) >= size)
		return fail(err, E_INVALID, "the OCI runtime has a path of more than %zu bytes", size - 1);
	*ret_is_runc = names_runc(found);
	return OK;
}

/* ---- mounts ------------------------------------------------------------------------------ */

static Imaged__Run__RunMountKind kind_of(enum run_mount_type type)
{
	static const Imaged__Run__RunMountKind kinds[] = {
		[RUN_BIND] = IMAGED__RUN__RUN_MOUNT_KIND__RUN_MOUNT_BIND,
		[RUN_CACHE] = IMAGED__RUN__RUN_MOUNT_KIND__RUN_MOUNT_CACHE,
		[RUN_TMPFS] = IMAGED__RUN__RUN_MOUNT_KIND__RUN_MOUNT_TMPFS,
		[RUN_FILE] = IMAGED__RUN__RUN_MOUNT_KIND__RUN_MOUNT_FILE,
		[RUN_SOCKET] = IMAGED__RUN__RUN_MOUNT_KIND__RUN_MOUNT_SOCKET,
	};

	return kinds[type];
}

static bool has_tree(const struct run_mount *m)
{
	return m->path && (m->type == RUN_BIND || m->fill);
}

static bool needs_source(const struct run_mount *m)
{
	return m->type == RUN_CACHE || m->type == RUN_SOCKET || (m->type == RUN_BIND && !m->path);
}

static int check_tree(const struct run_mount *m, struct err *err)
{
	if (m->fill && (m->type != RUN_CACHE || !m->path))
		return fail(err, E_INTERNAL, "the mount at '%s' cannot be filled", m->target);
	if (!has_tree(m))
		return OK;
	if (m->path[0] != '/' || strlen(m->path) >= PATH_MAX)
		return fail(err, E_INVALID, "the source '%.256s' of a mount is no absolute path of less than %d bytes",
			    m->path, PATH_MAX);
	if (m->n_layers > RUN_LAYERS_MAX)
		return fail(err, E_LIMIT, "a mount of %zu layers; at most %d are possible", m->n_layers,
			    RUN_LAYERS_MAX);
	return OK;
}

static int check_mount(const struct run_mount *m, struct err *err)
{
	if (m->target[0] != '/' || strspn(m->target, "/") == strlen(m->target))
		return fail(err, E_INVALID, "invalid mount target '%s'", m->target);
	if (strlen(m->target) >= PATH_MAX)
		return fail(err, E_INVALID, "a mount target of more than %d bytes", PATH_MAX - 1);
	if (needs_source(m) != (m->source >= 0))
		return fail(err, E_INTERNAL, "the mount at '%s' has no source, or one that it does not need",
			    m->target);
	return check_tree(m, err);
}

/* *used: how many descriptors the mounts before it have. */
static void mount_of(const struct run_mount *from, uint32_t *used, Imaged__Run__RunMount *to)
{
	imaged__run__run_mount__init(to);
	to->kind = kind_of(from->type);
	to->target = text_of(from->target);
	to->source = needs_source(from) ? ++*used : 0;
	to->writable = from->writable;
	to->size = from->size;
	to->content = (ProtobufCBinaryData){ from->content.len, (uint8_t *)from->content.data };
	to->mode = from->mode;
	to->uid = from->uid;
	to->gid = from->gid;
	to->has_tree = has_tree(from);
	if (!to->has_tree)
		return;
	to->path = text_of(from->path);
	to->layers = (uint32_t)from->n_layers;
	to->first_layer = from->n_layers ? *used + 1 : 0;
	*used += to->layers;
}

size_t plan_mount_fds(const struct run_mount *mounts, size_t n, int *out)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		const struct run_mount *m = &mounts[i];
		size_t layers = has_tree(m) ? m->n_layers : 0;

		if (out && needs_source(m))
			out[used] = m->source;
		used += needs_source(m);
		if (out && layers)
			memcpy(out + used, m->layers, layers * sizeof *out);
		used += layers;
	}
	return used;
}

static int mounts_of(struct arena *a, const struct run_step *step, Imaged__Run__RunStep *s, struct err *err)
{
	uint32_t used = 0;

	if (step->n_mounts > RUN_MOUNTS_MAX)
		return fail(err, E_LIMIT, "%zu mounts in one step; at most %d are possible", step->n_mounts,
			    RUN_MOUNTS_MAX);
	s->n_mounts = step->n_mounts;
	s->mounts = arena_array(a, step->n_mounts ? step->n_mounts : 1, sizeof(void *));
	for (size_t i = 0; s->mounts && i < step->n_mounts; i++) {
		const struct run_mount *from = &step->mounts[i];
		Imaged__Run__RunMount *to = arena_alloc(a, sizeof *to);
		int rc = check_mount(from, err);

		if (rc != OK)
			return rc;
		if (!to)
			return fail_nomem(err);
		mount_of(from, &used, to);
		s->mounts[i] = to;
	}
	return s->mounts ? OK : fail_nomem(err);
}

/* ---- limits --------------------------------------------------------------------------------- */

/* "nofile" to "RLIMIT_NOFILE". */
static const char *ulimit_name(struct arena *a, const char *name)
{
	static const char *const known[] = { "as",	"core",	    "cpu",	  "data",   "fsize", "locks",
					     "memlock", "msgqueue", "nice",	  "nofile", "nproc", "rss",
					     "rtprio",	"rttime",   "sigpending", "stack" };

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!strcmp(name, known[i])) {
			char *made = arena_printf(a, "RLIMIT_%s", name);

			for (char *c = made ? made + strlen("RLIMIT_") : NULL; c && *c; c++)
				*c = (char)toupper((unsigned char)*c);
			return made;
		}
	return NULL;
}

static int ulimits_of(struct arena *a, const struct run_limits *from, Imaged__Run__RunLimits *to, struct err *err)
{
	to->n_ulimits = from->n_ulimits;
	to->ulimits = arena_array(a, from->n_ulimits ? from->n_ulimits : 1, sizeof(void *));
	for (size_t i = 0; to->ulimits && i < from->n_ulimits; i++) {
		Imaged__Run__RunUlimit *u = arena_alloc(a, sizeof *u);
		const char *name = ulimit_name(a, from->ulimits[i].name);

		if (!name)
			return fail(err, E_INVALID, "invalid ulimit type: %s", from->ulimits[i].name);
		if (!u)
			return fail_nomem(err);
		imaged__run__run_ulimit__init(u);
		u->name = text_of(name);
		u->soft = from->ulimits[i].soft;
		u->hard = from->ulimits[i].hard;
		to->ulimits[i] = u;
	}
	return to->ulimits ? OK : fail_nomem(err);
}

static int limits_of(struct arena *a, const struct run_limits *from, Imaged__Run__RunStep *s, struct err *err)
{
	Imaged__Run__RunLimits *to = arena_alloc(a, sizeof *to);

	if (!to)
		return fail_nomem(err);
	imaged__run__run_limits__init(to);
	to->memory = from->memory;
	to->memory_swap = from->memory_swap;
	to->cpu_quota = from->cpu_quota;
	to->cpu_period = from->cpu_period;
	to->cpu_shares = from->cpu_shares;
	to->cpuset_cpus = text_of(from->cpuset_cpus);
	to->cpuset_mems = text_of(from->cpuset_mems);
	to->pids = from->pids;
	to->shm_size = from->shm_size;
	s->limits = to;
	return ulimits_of(a, from, to, err);
}

/* ---- all --------------------------------------------------------------------------------------- */

/* Not on a disk. Whoever forks later has no copy: it is close-on-exec. */
static int to_memfd(const Imaged__Run__RunPlan *plan, int *ret_memfd, struct err *err)
{
	size_t size = imaged__run__run_plan__get_packed_size(plan);
	CLEANUP(closep) int fd = memfd_create("imaged-run plan", MFD_CLOEXEC);
	uint8_t *at;
	int rc = codec_check(&plan->base, err);

	if (rc != OK)
		return rc;
	if (size > RUN_PLAN_MAX)
		return fail(err, E_LIMIT, "a step with %zu bytes of secrets, scripts and arguments", size);
	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return fail_errno(err, "make the plan of a step");
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return fail_errno(err, "make the plan of a step");
	imaged__run__run_plan__pack(plan, at);
	munmap(at, size);
	*ret_memfd = take_fd(&fd);
	return OK;
}

static void set_common(Imaged__Run__RunPlan *plan, const struct run_config *c, const struct run_root *root)
{
	imaged__run__run_plan__init(plan);
	plan->workspace = text_of(c->workspace);
	plan->cgroup_parent = text_of(c->cgroup_parent);
	plan->single_id = c->single_id;
	if (root) {
		plan->id = text_of(root->id);
		plan->lowers = (uint32_t)root->n_lowers;
	}
}

static int set_texts(struct arena *a, const struct run_step *step, Imaged__Run__RunStep *s, struct err *err)
{
	const char *hostname = step->hostname ? step->hostname : "buildkitsandbox";
	int rc = check_hostname(hostname, err);

	s->cwd = text_of(step->cwd ? step->cwd : "/");
	s->user = text_of(step->user);
	s->hostname = text_of(hostname);
	s->host_network = step->network == RUN_NETWORK_HOST;
	s->insecure = step->insecure;
	s->has_oom_score = step->oom_score != NULL;
	s->oom_score = step->oom_score ? *step->oom_score : 0;
	if (rc == OK)
		rc = list_of(a, step->args, &s->n_args, &s->args, err);
	if (rc == OK)
		rc = list_of(a, step->env, &s->n_env, &s->env, err);
	return rc == OK ? list_of(a, step->extra_hosts, &s->n_hosts, &s->hosts, err) : rc;
}

static int set_step(struct arena *a, const struct run_config *c, const struct run_step *step, Imaged__Run__RunStep *s,
		    struct err *err)
{
	char *runtime = arena_alloc(a, PATH_MAX);
	bool is_runc = false;
	int rc = runtime ? plan_find_runtime(c->runtime, runtime, PATH_MAX, &is_runc, err) : fail_nomem(err);

	imaged__run__run_step__init(s);
	s->runtime = text_of(runtime);
	s->is_runc = is_runc;
	s->seccomp_filter = text_of(is_runc || step->insecure ? NULL : seccomp_filter());
	if (rc == OK)
		rc = set_texts(a, step, s, err);
	if (rc == OK)
		rc = mounts_of(a, step, s, err);
	return rc == OK ? limits_of(a, &step->limits, s, err) : rc;
}

static int check_root(const struct run_root *root, struct err *err)
{
	int rc = check_id(root->id, err);

	if (rc == OK && root->n_lowers > RUN_LAYERS_MAX)
		return fail(err, E_LIMIT, "a root of %zu layers; at most %d are possible", root->n_lowers,
			    RUN_LAYERS_MAX);
	return rc;
}

static void set_layer(const int64_t *latest, Imaged__Run__RunLayer *l)
{
	imaged__run__run_layer__init(l);
	l->clamp = latest != NULL;
	l->latest = latest ? *latest : 0;
}

int plan_of_step(const struct run_config *c, const struct run_step *step, const struct plan_terminal *terminal,
		 int *ret_memfd, struct err *err)
{
	Imaged__Run__RunLayer l;
	Imaged__Run__RunPlan plan;
	Imaged__Run__RunStep s;
	struct arena a;
	int rc = check_root(&step->root, err);

	if (rc == OK)
		rc = plan_check_cgroup_parent(c->cgroup_parent, err);
	arena_init(&a, PLAN_ARENA_MAX);
	set_common(&plan, c, &step->root);
	plan.step = &s;
	if (step->layer) {
		set_layer(step->layer->latest, &l);
		plan.layer = &l;
	}
	if (rc == OK)
		rc = set_step(&a, c, step, &s, err);
	s.terminal = terminal != NULL;
	s.columns = terminal ? terminal->columns : 0;
	s.rows = terminal ? terminal->rows : 0;
	if (rc == OK)
		rc = to_memfd(&plan, ret_memfd, err);
	arena_free(&a);
	return rc;
}

int plan_of_layer(const struct run_config *c, const struct run_layer *layer, int *ret_memfd, struct err *err)
{
	Imaged__Run__RunLayer l;
	Imaged__Run__RunPlan plan;
	int rc = check_root(layer->root, err);

	set_common(&plan, c, layer->root);
	plan.layer = &l;
	set_layer(layer->latest, &l);
	return rc == OK ? to_memfd(&plan, ret_memfd, err) : rc;
}

int plan_of_removal(const struct run_config *c, int *ret_memfd, struct err *err)
{
	Imaged__Run__RunPlan plan;

	set_common(&plan, c, NULL);
	plan.remove = true;
	return to_memfd(&plan, ret_memfd, err);
}
