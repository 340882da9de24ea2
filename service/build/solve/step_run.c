#include "service/build/solve/step_run.h"

#include "service/build/agents/agents.h"
#include "service/build/solve/failed.h"
#include "service/build/solve/foreign.h"

void turn_round(int *fds, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		int other = fds[n - 1 - i];

		fds[n - 1 - i] = fds[i];
		fds[i] = other;
	}
}

/* ---- the root ---------------------------------------------------------------------- */

static int open_root(struct execution *x, struct step_run *r, struct err *err)
{
	const struct build_tree *t = input_of(x->in->op, 0)->tree;

	if (build_tree_open(t, x->in->cancel, &r->lowers, &r->n_lowers, err) < 0)
		return err->code;
	turn_round(r->lowers, r->n_lowers);
	r->step.root = (struct run_root){
		.id = r->directory.id, .lowers = r->lowers, .n_lowers = r->n_lowers, .directory = r->directory.fd
	};
	return OK;
}

/* ---- what it may -------------------------------------------------------------------- */

static bool is(const char *text, const char *word)
{
	return text && !strcmp(text, word);
}

int step_run_check(const struct solve_request *q, const struct run_command *c, struct err *err)
{
	if (is(c->network, "host") && !q->allow_host_network)
		return fail(err, E_DENIED,
			    "granting entitlement network.host is not allowed by build daemon configuration");
	if (is(c->security, "insecure") && !q->allow_insecure)
		return fail(err, E_DENIED,
			    "granting entitlement security.insecure is not allowed by build daemon configuration");
	return OK;
}

static void set_rights(const struct solve_request *q, const struct run_command *c, struct run_step *s)
{
	const char *network = is(c->network, "default") && q->network ? q->network : c->network;

	s->network = is(network, "none") ? RUN_NETWORK_NONE : RUN_NETWORK_HOST;
	s->insecure = is(c->security, "insecure");
}

static int check_devices(const struct run_command *c, struct err *err)
{
	for (size_t i = 0; i < c->n_devices; i++)
		if (c->devices[i].required)
			return fail(err, E_UNSUPPORTED, "RUN --device=%s: devices of CDI are not supported",
				    c->devices[i].name);
	return OK;
}

static int check_platform(const struct solving_op *o, struct err *err)
{
	const struct plan *p = o->build->request->plan;
	char text[PLATFORM_TEXT_MAX];
	struct platform platform;

	if (platform_parse(plan_platform(p, o->op->stage, text), &platform, err) < 0)
		return err->code;
	return foreign_check(&platform, err);
}

/* ---- the environment ------------------------------------------------------------------ */

static size_t count(const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

static int set_args(const struct run_command *c, struct step_run *r, struct err *err)
{
	r->args = calloc(c->args.n + 1, sizeof *r->args);
	if (!r->args)
		return fail_nomem(err);
	for (size_t i = 0; i < c->args.n; i++)
		r->args[i] = c->args.items[i];
	r->step.args = r->args;
	return OK;
}

static int set_env(const struct run_command *c, struct step_run *r, struct err *err)
{
	size_t n = 0;

	/* Each mount may add one. */
	r->env = calloc(c->env.n + c->proxies.n + c->n_mounts + 1, sizeof *r->env);
	r->made_env = calloc(c->n_mounts + 1, sizeof *r->made_env);
	if (!r->env || !r->made_env)
		return fail_nomem(err);
	for (size_t i = 0; i < c->env.n; i++)
		r->env[n++] = c->env.items[i];
	for (size_t i = 0; i < c->proxies.n; i++)
		r->env[n++] = c->proxies.items[i];
	r->step.env = r->env;
	return OK;
}

int step_run_add_env(struct step_run *r, char *made, struct err *err)
{
	if (!made)
		return fail_nomem(err);
	r->made_env[count((const char *const *)r->made_env)] = made;
	r->env[count(r->env)] = made;
	return OK;
}

/* ---- the whole -------------------------------------------------------------------------- */

static void describe(const struct execution *x, struct step_run *r)
{
	const struct solve_request *q = x->in->op->build->request;
	const struct step *step = x->in->op->op->step;

	r->config = *r->solver->options.run;
	if (q->cgroup_parent && *q->cgroup_parent)
		r->config.cgroup_parent = q->cgroup_parent;
	r->step.cwd = *step->cwd ? step->cwd : NULL;
	r->step.user = *step->user ? step->user : NULL;
	r->step.hostname = q->hostname;
	r->step.extra_hosts = q->extra_hosts;
	r->step.limits = q->limits;
}

int step_run_open(struct execution *x, struct step_run *r, struct err *err)
{
	const struct solve_request *q = x->in->op->build->request;
	const struct run_command *c = &x->in->op->op->step->run;

	*r = (struct step_run){ .solver = x->in->op->build->solver, .directory.fd = -1 };
	describe(x, r);
	set_rights(q, c, &r->step);
	if (check_platform(x->in->op, err) < 0 || check_devices(c, err) < 0 || set_args(c, r, err) < 0 ||
	    set_env(c, r, err) < 0 ||
	    step_directory_make(r->solver->directories, r->config.cgroup_parent, &r->directory, err) < 0 ||
	    step_run_add_mounts(x, r, err) < 0 || execution_enter(x, err) < 0)
		return err->code;
	return open_root(x, r, err);
}

static void close_all(int *fds, size_t n)
{
	for (size_t i = 0; fds && i < n; i++)
		close(fds[i]);
	free(fds);
}

static void let_go(struct held_mount *m)
{
	close_all(m->layers, m->n_layers);
	free(m->path);
	cache_mount_leave(m->cache);
	agent_socket_close(m->socket);
}

static void free_secret(char *text)
{
	if (text)
		wipe(text, strlen(text));
	free(text);
}

void step_run_close(struct step_run *r)
{
	for (size_t i = 0; r->held && i < r->n_held; i++)
		let_go(&r->held[i]);
	for (size_t i = 0; r->made_env && r->made_env[i]; i++)
		free_secret(r->made_env[i]);
	close_all(r->lowers, r->n_lowers);
	if (r->directory.fd >= 0)
		step_directory_give_back(r->solver->directories, &r->directory);
	free(r->held);
	free(r->mounts);
	free(r->made_env);
	free(r->script_path);
	free(r->env);
	free(r->args);
}

const struct run_step *solve_failed_step(const struct solve_failed *f)
{
	return &f->run.step;
}

const struct run_config *solve_failed_config(const struct solve_failed *f)
{
	return &f->run.config;
}

bool solve_failed_holds_up(const struct solve_failed *f)
{
	for (size_t i = 0; i < f->run.n_held; i++)
		if (f->run.held[i].cache && f->run.held[i].is_locked)
			return true;
	return false;
}

void solve_failed_free(struct solve_failed *f)
{
	if (!f)
		return;
	step_run_close(&f->run);
	free(f);
}
