#include "service/build/graph_digest.h"

/* ---- fields --------------------------------------------------------------------- */

static void put_number(struct hasher *h, int64_t number)
{
	uint8_t bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)((uint64_t)number >> (8 * i));
	hasher_update(h, bytes, sizeof bytes);
}

static void put_text(struct hasher *h, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	put_number(h, (int64_t)len);
	hasher_update(h, text ? text : "", len);
}

static void put_list(struct hasher *h, const struct string_list *l)
{
	put_number(h, (int64_t)l->n);
	for (size_t i = 0; i < l->n; i++)
		put_text(h, l->items[i]);
}

static void put_digest(struct hasher *h, const struct digest *d)
{
	char text[DIGEST_TEXT_MAX];

	put_text(h, digest_is_set(d) ? digest_text(d, text) : "");
}

static void begin(struct hasher *h, enum op_kind kind)
{
	hasher_init(h, DIGEST_SHA256);
	put_number(h, GRAPH_VERSION);
	put_number(h, kind);
}

/* The time that made files get. */
static void put_epoch(struct hasher *h, const struct graph_options *o)
{
	put_number(h, o->has_epoch);
	put_number(h, o->has_epoch ? o->epoch : 0);
}

/* ---- sources -------------------------------------------------------------------- */

struct digest digest_of_scratch(void)
{
	struct hasher h;

	begin(&h, OP_SCRATCH);
	return hasher_final(&h);
}

struct digest digest_of_image(const char *name, const char *platform, const struct digest *found)
{
	bool known = found && digest_is_set(found);
	struct hasher h;

	begin(&h, OP_IMAGE);
	put_text(&h, known ? "" : name);
	put_text(&h, known ? "" : platform);
	if (known)
		put_digest(&h, found);
	return hasher_final(&h);
}

struct digest digest_of_context(const char *name)
{
	struct hasher h;

	begin(&h, OP_CONTEXT);
	put_text(&h, name);
	return hasher_final(&h);
}

static void put_git(struct hasher *h, const struct git_ref *g, const struct copy_step *copy)
{
	put_text(h, g->remote);
	put_text(h, g->ref);
	put_text(h, g->subdir);
	put_text(h, *g->checksum ? g->checksum : copy->checksum);
	put_number(h, g->keep_git_dir != UNSET ? g->keep_git_dir : copy->keep_git_dir);
	put_number(h, g->submodules);
	put_text(h, g->mtime);
}

struct digest digest_of_source(const struct copy_source *s, const struct copy_step *copy)
{
	enum op_kind kind = s->kind == SOURCE_URL ? OP_URL : s->kind == SOURCE_GIT ? OP_GIT : OP_FILE;
	struct hasher h;

	begin(&h, kind);
	put_text(&h, s->path);
	if (kind == OP_GIT) {
		put_git(&h, &s->git, copy);
	} else if (kind == OP_URL) {
		put_text(&h, s->url);
		put_text(&h, copy->checksum);
	} else {
		put_text(&h, s->content);
	}
	return hasher_final(&h);
}

/* ---- steps ---------------------------------------------------------------------- */

/* A plain path counts by its name only: what it is called in the result. What files it
 * selects, and what is in them, is for the digest of the input. */
static void put_selection(struct hasher *h, const struct copy_source *s)
{
	const char *slash = strrchr(s->path, '/');

	put_number(h, s->kind == SOURCE_CONTEXT || s->kind == SOURCE_STAGE);
	put_text(h, slash ? slash + 1 : s->path);
	put_text(h, s->pattern);
	put_number(h, s->required);
}

struct digest digest_of_copy(const struct copy_step *s, const struct graph_options *o)
{
	struct hasher h;

	begin(&h, OP_COPY);
	put_number(&h, (int64_t)s->n_sources);
	for (size_t i = 0; i < s->n_sources; i++)
		put_selection(&h, &s->sources[i]);
	put_text(&h, s->destination);
	put_text(&h, s->chown);
	put_text(&h, s->chmod);
	put_number(&h, s->unpack != UNSET ? s->unpack == ON : s->add);
	put_number(&h, s->parents);
	put_list(&h, &s->excludes);
	put_epoch(&h, o);
	return hasher_final(&h);
}

struct digest digest_of_merge(void)
{
	struct hasher h;

	begin(&h, OP_MERGE);
	return hasher_final(&h);
}

struct digest digest_of_directory(const struct step *s, const struct graph_options *o)
{
	struct hasher h;

	begin(&h, OP_DIRECTORY);
	put_text(&h, s->cwd);
	put_text(&h, s->user);
	put_epoch(&h, o);
	return hasher_final(&h);
}

/* What is in a cache, a secret or behind an agent never counts; nor what a cache is called
 * when that was said. */
static void put_mount(struct hasher *h, const struct run_command_mount *rm)
{
	const struct mount *m = &rm->mount;
	bool secret = m->type == MOUNT_SECRET || m->type == MOUNT_SSH;

	put_number(h, m->type);
	put_text(h, rm->has_target ? m->target : "");
	put_number(h, m->read_only);
	put_text(h, secret ? m->id : "");
	put_text(h, secret ? m->env : "");
	put_number(h, m->type == MOUNT_TMPFS ? m->size : 0);
	put_number(h, m->type == MOUNT_BIND || m->type == MOUNT_CACHE);
	put_text(h, m->type == MOUNT_BIND ? m->source : "");
}

static void put_devices(struct hasher *h, const struct run_command *s)
{
	put_number(h, (int64_t)s->n_devices);
	for (size_t i = 0; i < s->n_devices; i++) {
		put_text(h, s->devices[i].name);
		put_number(h, s->devices[i].required);
	}
}

static void put_machine(struct hasher *h, const struct run_command *s, const struct graph_options *o)
{
	bool usual = !strcmp(s->network, "default");

	put_text(h, usual && o->network ? o->network : s->network);
	put_text(h, s->security);
	put_text(h, o->hostname);
	put_text(h, o->cgroup_parent);
	put_list(h, &o->ulimits);
	put_list(h, &o->host_names);
	put_number(h, o->shm_size);
	put_devices(h, s);
}

struct digest digest_of_run(const struct step *step, const char *platform, const struct graph_options *o)
{
	const struct run_command *s = &step->run;
	struct hasher h;

	begin(&h, OP_RUN);
	put_list(&h, &s->args);
	put_list(&h, &s->env);
	put_text(&h, s->script_name);
	put_text(&h, s->script);
	put_text(&h, step->cwd);
	put_text(&h, step->user);
	put_text(&h, platform);
	put_machine(&h, s, o);
	put_number(&h, (int64_t)s->n_mounts);
	for (size_t i = 0; i < s->n_mounts; i++)
		put_mount(&h, &s->mounts[i]);
	return hasher_final(&h);
}

struct digest graph_key(const struct op *op, const struct digest *inputs)
{
	struct hasher h;

	hasher_init(&h, DIGEST_SHA256);
	put_digest(&h, &op->own);
	put_number(&h, (int64_t)op->n_inputs);
	for (size_t i = 0; i < op->n_inputs; i++)
		put_digest(&h, &inputs[i]);
	return hasher_final(&h);
}
