/* RUN --mount: what each stands on. */
#include <limits.h>

#include "proto/runtime/clock.h"
#include "service/build/agents/agents.h"
#include "service/build/solve/step_run.h"
#include "store/types/path.h"

enum { SCRIPT_MODE = 0755, CACHE_MODE = 0755 };

struct mounting {
	struct execution *execution;
	struct step_run *run;
	const struct run_command_mount *command;
	size_t input; /* of the operation, for those that have one */
	struct run_mount *mount;
	struct held_mount *held;
	bool skipped; /* what is not there and need not be */

	/* Of a cache. */
	char *cache_id;
	struct cache_mount_request cache;
	struct digest cache_key;
};

static const struct solve_request *request_of(const struct mounting *m)
{
	return m->execution->in->op->build->request;
}

/* ---- trees -------------------------------------------------------------------------- */

static int open_tree(struct mounting *m, const struct build_tree *t, struct err *err)
{
	if (build_tree_open(t, m->execution->in->cancel, &m->held->layers, &m->held->n_layers, err) < 0)
		return err->code;
	turn_round(m->held->layers, m->held->n_layers);
	return OK;
}

/* Only the part that is mounted, as a layer that nothing keeps. */
static int open_part(struct mounting *m, const char *path, struct err *err)
{
	struct inputs *in = m->execution->in;
	CLEANUP(build_layer_unrefp) struct build_layer *l = NULL;
	CLEANUP(build_tree_unrefp) struct build_tree *t = NULL;
	struct build_layer_writer *w;
	int r;

	if (inputs_files(in, m->input, err) < 0 || execution_begin_layer(m->execution, &w, err) < 0)
		return err->code;
	r = copy_subtree_layer(&in->files[m->input - 1], path, in->cancel, build_layer_write, w, err);
	if (r != OK) {
		build_layer_abandon(w);
		return r;
	}
	if (build_layer_end(w, clock_wall_ns(), in->cancel, &l, err) < 0 || build_tree_new(&l, 1, &t, err) < 0)
		return err->code;
	return open_tree(m, t, err);
}

/* From the root, whatever it begins with. */
static int set_path(struct mounting *m, struct err *err)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX);
	CLEANUP(freep) char *rooted = format("/%s", m->command->mount.source);

	if (!rooted)
		return fail_nomem(err);
	if (!path_clean(bytes_of(rooted), &path))
		return fail(err, E_INVALID, "the source '%s' of a mount is too long", m->command->mount.source);
	m->held->path = buf_take(&path);
	m->mount->path = m->held->path;
	return m->held->path ? OK : fail_nomem(err);
}

static int take_part(struct mounting *m, struct err *err)
{
	const struct solving_op *from = input_of(m->execution->in->op, m->input);
	int r = set_path(m, err);

	if (r != OK)
		return r;
	r = from->tree ? open_tree(m, from->tree, err) : open_part(m, m->mount->path, err);
	m->mount->layers = m->held->layers;
	m->mount->n_layers = m->held->n_layers;
	return r;
}

static int add_bind(struct mounting *m, struct err *err)
{
	m->mount->type = RUN_BIND;
	m->mount->writable = !m->command->mount.read_only;
	return take_part(m, err);
}

/* ---- caches --------------------------------------------------------------------------- */

static enum cache_sharing sharing_of(enum mount_sharing sharing)
{
	return sharing == SHARING_LOCKED ? CACHE_LOCKED : sharing == SHARING_PRIVATE ? CACHE_PRIVATE : CACHE_SHARED;
}

static struct digest seed_of(const struct mounting *m)
{
	const struct solving_op *from = input_of(m->execution->in->op, m->input);
	const char *source = m->command->mount.source;
	struct hasher h;

	hasher_init(&h, DIGEST_SHA256);
	hasher_update(&h, from->tree ? build_tree_chain(from->tree) : &from->id, sizeof(struct digest));
	hasher_update(&h, source, strlen(source));
	return hasher_final(&h);
}

static int describe_cache(struct mounting *m, struct err *err)
{
	const struct mount *c = &m->command->mount;
	const char *space = plan_setting(request_of(m)->plan, "BUILDKIT_CACHE_MOUNT_NS");

	m->cache_id = format("%s%s%s", space ? space : "", space ? "/" : "", c->id);
	if (!m->cache_id)
		return fail_nomem(err);
	m->cache = (struct cache_mount_request){ .id = m->cache_id,
						 .sharing = sharing_of(c->sharing),
						 .mode = c->has_mode ? c->mode : CACHE_MODE,
						 .uid = c->uid,
						 .gid = c->gid };
	if (m->input)
		m->cache.seed = seed_of(m);
	m->cache_key = cache_mount_key(&m->cache);
	return OK;
}

/* What --cache-from brings of it, where it is the first time that somebody here has it. */
static int take_elsewhere(struct mounting *m, struct err *err)
{
	const struct solve_request *q = request_of(m);
	CLEANUP(build_layer_unrefp) struct build_layer *l = NULL;
	CLEANUP(build_tree_unrefp) struct build_tree *t = NULL;

	for (size_t i = 0; i < q->n_imports && !l; i++)
		if (q->imports[i].find(q->imports[i].arg, &m->cache_key, m->execution->in->cancel, &l, NULL) < 0)
			l = NULL;
	if (!l)
		return OK;
	if (build_tree_new(&l, 1, &t, err) < 0 || open_tree(m, t, err) < 0)
		return err->code;
	m->mount->fill = true;
	m->mount->path = "/";
	m->mount->layers = m->held->layers;
	m->mount->n_layers = m->held->n_layers;
	return OK;
}

static void set_cache(struct mounting *m, const struct cache_mount *cache)
{
	m->mount->type = RUN_CACHE;
	m->mount->source = cache_mount_directory(cache);
	m->mount->writable = !m->command->mount.read_only;
}

static int add_cache(struct mounting *m, struct err *err)
{
	bool is_first;

	if (cache_mount_enter(m->run->solver->options.cache_mounts, &m->cache, m->execution->in->cancel,
			      &m->held->cache, &m->held->is_new, err) < 0)
		return err->code;
	m->held->is_locked = m->cache.sharing == CACHE_LOCKED;
	is_first = m->held->is_new && !m->input;
	m->held->is_new = m->held->is_new && m->input;
	set_cache(m, m->held->cache);
	m->mount->fill = m->held->is_new;
	if (is_first)
		return take_elsewhere(m, err);
	return m->mount->fill ? take_part(m, err) : OK;
}

/* ---- secrets and agents ------------------------------------------------------------------ */

static const struct solve_secret *find_secret(const struct solve_request *q, const char *id)
{
	for (size_t i = 0; i < q->n_secrets; i++)
		if (!strcmp(q->secrets[i].id, id))
			return &q->secrets[i];
	return NULL;
}

static char *variable(const char *name, struct bytes value)
{
	size_t len = strlen(name);
	char *text = malloc(len + value.len + 2);

	if (!text)
		return NULL;
	memcpy(text, name, len);
	text[len] = '=';
	if (value.data)
		memcpy(text + len + 1, value.data, value.len);
	text[len + 1 + value.len] = 0;
	return text;
}

static int add_secret(struct mounting *m, struct err *err)
{
	const struct mount *c = &m->command->mount;
	const struct solve_secret *secret = find_secret(request_of(m), c->id);

	m->skipped = !m->command->has_target || !secret;
	if (!secret)
		return c->required ? fail(err, E_NOT_FOUND, "secret %s: not found", c->id) : OK;
	if (c->env && memchr(secret->value.data ? (const void *)secret->value.data : "", 0, secret->value.len))
		return fail(err, E_INVALID, "the secret %s holds a zero byte and cannot be an environment variable",
			    c->id);
	if (c->env && step_run_add_env(m->run, variable(c->env, secret->value), err) < 0)
		return err->code;
	m->mount->type = RUN_FILE;
	m->mount->content = secret->value;
	m->mount->mode = c->mode;
	m->mount->uid = c->uid;
	m->mount->gid = c->gid;
	return OK;
}

static bool is_first_agent(const struct mounting *m)
{
	for (size_t i = 0; m->run->made_env[i]; i++)
		if (!strncmp(m->run->made_env[i], "SSH_AUTH_SOCK=", strlen("SSH_AUTH_SOCK=")))
			return false;
	return true;
}

static int add_agent(struct mounting *m, struct err *err)
{
	const struct mount *c = &m->command->mount;
	struct build_agents *agents = request_of(m)->agents;
	struct agent_socket_options options = {
		.id = c->id, .directory = m->run->directory.fd, .mode = c->mode, .uid = c->uid, .gid = c->gid
	};

	m->skipped = !build_agents_has(agents, c->id);
	if (m->skipped)
		return c->required ? fail(err, E_NOT_FOUND, "no SSH key \"%s\" forwarded from the client", c->id) : OK;
	if (agent_socket_open(agents, &options, &m->held->socket, err) < 0)
		return err->code;
	m->mount->type = RUN_SOCKET;
	m->mount->source = agent_socket_fd(m->held->socket);
	return is_first_agent(m) ? step_run_add_env(m->run, format("SSH_AUTH_SOCK=%s", c->target), err) : OK;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static int add(struct mounting *m, struct err *err)
{
	const struct mount *c = &m->command->mount;

	switch (c->type) {
	case MOUNT_BIND:
		return add_bind(m, err);
	case MOUNT_CACHE:
		return add_cache(m, err);
	case MOUNT_SECRET:
		return add_secret(m, err);
	case MOUNT_SSH:
		return add_agent(m, err);
	default:
		m->mount->type = RUN_TMPFS;
		m->mount->size = (uint64_t)c->size;
		return OK;
	}
}

static bool has_input(const struct run_command_mount *m)
{
	return m->mount.type == MOUNT_BIND || (m->mount.type == MOUNT_CACHE && m->stage != PLAN_NONE);
}

/* Which input of the operation a mount has; 0: none. */
static size_t input_of_mount(const struct run_command *c, size_t i)
{
	size_t input = 0;

	for (size_t k = 0; k <= i; k++)
		input += has_input(&c->mounts[k]);
	return has_input(&c->mounts[i]) ? input : 0;
}

static int begin(struct execution *x, struct step_run *r, size_t i, struct mounting *m, struct err *err)
{
	const struct run_command *c = &x->in->op->op->step->run;

	*m = (struct mounting){ .execution = x,
				.run = r,
				.command = &c->mounts[i],
				.input = input_of_mount(c, i),
				.mount = &r->mounts[i],
				.held = &r->held[i] };
	*m->mount = (struct run_mount){ .target = m->command->mount.target, .source = -1 };
	return m->command->mount.type == MOUNT_CACHE ? describe_cache(m, err) : OK;
}

/* Caches first, by what they are, so that two steps that lock the same ones do not wait for each other. */
static int compare_mounts(const void *a, const void *b)
{
	const struct mounting *x = a, *y = b;
	int order = (x->command->mount.type != MOUNT_CACHE) - (y->command->mount.type != MOUNT_CACHE);

	if (!order && x->command->mount.type == MOUNT_CACHE)
		order = memcmp(&x->cache_key, &y->cache_key, sizeof x->cache_key);
	return order ? order : (x->command > y->command) - (x->command < y->command);
}

static bool is_same_cache(const struct mounting *a, const struct mounting *b)
{
	return a->command->mount.type == MOUNT_CACHE && b->command->mount.type == MOUNT_CACHE &&
	       digest_eq(&a->cache_key, &b->cache_key);
}

/* A cache at several places is one; the first of them holds it. */
static int add_in_order(struct mounting *all, size_t n, struct err *err)
{
	const struct mounting *first = all;

	qsort(all, n, sizeof *all, compare_mounts);
	for (size_t i = 0; i < n; i++) {
		struct mounting *m = &all[i];

		if (i && is_same_cache(first, m)) {
			set_cache(m, first->held->cache);
			continue;
		}
		first = m;
		if (add(m, err) < 0)
			return err->code;
		m->held->skipped = m->skipped;
	}
	return OK;
}

static int add_all(struct execution *x, struct step_run *r, struct err *err)
{
	size_t n = x->in->op->op->step->run.n_mounts, begun = 0;
	CLEANUP(freep) struct mounting *all = calloc(n + 1, sizeof *all);
	int rc = OK;

	if (!all)
		return fail_nomem(err);
	for (; rc == OK && begun < n; begun++)
		rc = begin(x, r, begun, &all[begun], err);
	if (rc == OK && n)
		rc = add_in_order(all, n, err);
	for (size_t i = 0; i < begun; i++)
		free(all[i].cache_id);
	return rc;
}

static int add_script(const struct run_command *c, struct step_run *r, struct err *err)
{
	r->script_path = format("/dev/pipes/%s", c->script_name);
	if (!r->script_path)
		return fail_nomem(err);
	r->mounts[r->step.n_mounts++] = (struct run_mount){ .type = RUN_FILE,
							    .target = r->script_path,
							    .source = -1,
							    .content = bytes_of(c->script),
							    .mode = SCRIPT_MODE };
	return OK;
}

int step_run_add_mounts(struct execution *x, struct step_run *r, struct err *err)
{
	const struct run_command *c = &x->in->op->op->step->run;

	r->mounts = calloc(c->n_mounts + 1, sizeof *r->mounts);
	r->held = calloc(c->n_mounts + 1, sizeof *r->held);
	if (!r->mounts || !r->held)
		return fail_nomem(err);
	r->n_held = c->n_mounts;
	if (add_all(x, r, err) < 0)
		return err->code;
	for (size_t i = 0; i < c->n_mounts; i++)
		if (!r->held[i].skipped)
			r->mounts[r->step.n_mounts++] = r->mounts[i];
	r->step.mounts = r->mounts;
	return *c->script_name ? add_script(c, r, err) : OK;
}
