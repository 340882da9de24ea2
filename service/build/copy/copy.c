#include "service/build/copy/copy.h"

#include <sys/stat.h>

#include "service/build/copy/copying.h"
#include "service/build/copy/destination.h"
#include "service/build/copy/merge.h"
#include "service/build/copy/unpack.h"
#include "service/build/file_mode.h"
#include "service/build/number.h"

struct copying {
	const struct copy_job *job;
	struct arena arena;
	struct copy_items items;
	struct bytes *targets;
	struct unpacked unpacked;
	bool has_owner;
	struct copy_owner owner;
	struct destination to;
	struct layer_out out;
	struct buf path, beyond;
	uint64_t number; /* of the first item */
	struct redirect *redirects;
};

/* A directory of an archive that the archive has no entry of, while the tree has a link there: what is below
 * goes where that leads, as for a program that unpacks it. */
struct redirect {
	struct redirect *next;
	struct copy_item item;
	const char *destination;
};

static const int64_t ns_per_s = 1000000000;

/* ---- sources ------------------------------------------------------------------------------- */

int copy_select(const struct copy_job *j, size_t source, struct arena *a, struct copy_items *items, struct err *err)
{
	const struct copy_files *files = &j->files[source];
	size_t first = items->n;
	int rc = files->context ? build_context_wait(files->context, j->cancel, err) : OK;

	if (rc == OK)
		rc = select_source(j->step, &j->step->sources[source], files, a, items, err);
	if (rc == OK && items->n > first)
		rc = select_need(items->all + first, items->n - first, j->cancel, err);
	return rc;
}

static int select_all(struct copying *c, struct err *err)
{
	struct copy_items named = { .n = 0 };
	int rc = OK;

	for (size_t i = 0; rc == OK && i < c->job->step->n_sources; i++) {
		named.n = 0;
		rc = copy_select(c->job, i, &c->arena, &named, err);
		for (size_t k = 0; rc == OK && k < named.n; k++)
			rc = unpack_if_archive(&c->unpacked, c->job, &c->job->step->sources[i], &named.all[k], err);
		for (size_t k = 0; rc == OK && k < named.n; k++)
			rc = copy_items_add(&c->items, &named.all[k], &c->arena, err);
	}
	return rc;
}

/* ---- where they go ---------------------------------------------------------------------------- */

/* One after another, as if each were copied before the next one. */
static int aim(struct destination *to, const struct copy_item *item, struct bytes *ret_target, struct err *err)
{
	struct bytes path = buf_bytes(&to->path), none = { 0 };

	*ret_target = none;
	if (S_ISDIR(item->mode)) {
		if (to->state == DESTINATION_FILE)
			return merge_fail_file(path, none, err);
		to->state = DESTINATION_DIRECTORY;
		return OK;
	}
	if (to->state == DESTINATION_DIRECTORY)
		*ret_target = item->name;
	else
		to->state = DESTINATION_FILE;
	return OK;
}

static int aim_all(struct copying *c, struct err *err)
{
	int rc = OK;

	c->targets = arena_array(&c->arena, c->items.n + 1, sizeof *c->targets);
	if (!c->targets)
		return fail_nomem(err);
	for (size_t i = 0; rc == OK && i < c->items.n; i++)
		rc = aim(&c->to, &c->items.all[i], &c->targets[i], err);
	return rc;
}

/* As dockerd's BuildKit makes them, whose umask is 022: of the mode that files get; here they can be searched by
 * whom they can be read by. */
static uint32_t mode_of_made(const char *chmod)
{
	uint32_t mode = 0;

	if (!uint32_parse(chmod, 8, &mode))
		return 0755;
	return (mode | (mode >> 2 & 0111)) & 0755;
}

static int set_destination(struct copying *c, const char *path, struct err *err)
{
	const struct copy_step *step = c->job->step;
	int rc = OK;

	c->has_owner = *step->chown != 0;
	if (c->has_owner)
		rc = owner_resolve(c->job->into, step->chown, &c->owner, err);
	if (rc == OK)
		rc = destination_init(&c->to, c->job->into, path, err);
	c->to.owner = c->owner;
	c->to.mode = mode_of_made(step->chmod);
	c->to.time = c->job->has_epoch ? c->job->epoch : c->job->now_ns / ns_per_s;
	return rc;
}

/* ---- entries ----------------------------------------------------------------------------------- */

static void change(const struct copying *c, const struct copy_item *item, struct source_entry *e)
{
	const char *chmod = c->job->step->chmod;

	if (c->has_owner) {
		e->uid = c->owner.uid;
		e->gid = c->owner.gid;
	}
	if (*chmod && !item->is_archive && !S_ISLNK(e->mode))
		e->mode = (e->mode & S_IFMT) | file_mode_apply(chmod, e->mode & 07777, S_ISDIR(e->mode));
}

static int set_path(struct copying *c, struct bytes below, struct err *err)
{
	buf_reset(&c->path);
	buf_append(&c->path, c->to.path.data, c->to.path.len);
	if (c->to.path.len && below.len)
		buf_putc(&c->path, '/');
	if (!buf_append(&c->path, below.data, below.len))
		return fail(err, E_LIMIT, "a path of the layer has more than %d bytes", TREE_PATH_MAX);
	return OK;
}

/* What is at the place of an entry is of its kind, or an archive's entry takes its place. */
static int check_place(const struct copying *c, const struct merged_entry *m, const struct source_entry *there,
		       struct err *err)
{
	bool is_directory = S_ISDIR(m->entry->e.mode);

	if (is_directory == S_ISDIR(there->mode) || (m->item->is_archive && !m->entry->e.is_made))
		return OK;
	return is_directory ? merge_fail_file(buf_bytes(&c->to.path), m->path, err)
			    : merge_fail_directory(buf_bytes(&c->to.path), m->path, err);
}

static int redirect(struct copying *c, const struct merged_entry *m, struct err *err)
{
	struct redirect *r = arena_alloc(&c->arena, sizeof *r);

	if (!r)
		return fail_nomem(err);
	r->item = *m->item;
	r->item.path = (struct bytes){ (const uint8_t *)arena_bytes(&c->arena, m->entry->e.path), m->path.len };
	r->destination = arena_printf(&c->arena, "/%s/", buf_text(&c->path));
	r->next = c->redirects;
	c->redirects = r;
	buf_reset(&c->beyond);
	return r->item.path.data && r->destination && buf_append(&c->beyond, m->path.data, m->path.len)
		       ? OK
		       : fail_nomem(err);
}

static int write_entry(struct copying *c, const struct merged_entry *m, struct err *err)
{
	struct source_entry e = m->entry->e, there;
	bool found, is_way = m->entry->is_way || e.is_made;
	int rc = set_path(c, m->path, err);

	if (rc == OK)
		rc = destination_lookup(&c->to, buf_bytes(&c->path), &found, &there, err);
	if (rc == OK && found && e.is_made && S_ISLNK(there.mode))
		return redirect(c, m, err);
	if (rc == OK && found)
		rc = check_place(c, m, &there, err);
	if (rc == OK)
		rc = destination_tell_way(&c->to, true, &c->out, err);
	if (rc != OK)
		return rc;
	if (found && is_way && S_ISDIR(there.mode)) {
		there.mode = e.is_made ? there.mode : (uint32_t)(S_IFDIR | (e.mode & 07777));
		return layer_out_entry(&c->out, buf_bytes(&c->path), &there, 0, err);
	}
	change(c, m->item, &e);
	return layer_out_entry(&c->out, buf_bytes(&c->path), &e, c->number + m->number, err);
}

/* The destination is a directory: it keeps what it has, or is new. */
static bool is_destination(const struct copying *c, const struct merged_entry *m)
{
	return !m->path.len && c->to.state == DESTINATION_DIRECTORY;
}

static bool is_redirected(const struct copying *c, const struct merged_entry *m)
{
	return c->beyond.len && m->item->is_archive && context_path_is_below(buf_bytes(&c->beyond), m->path);
}

static int write_entries(struct copying *c, struct err *err)
{
	CLEANUP(merge_closep) struct merge *merge = NULL;
	const struct merged_entry *m = NULL;
	int rc = merge_open(&c->items, c->targets, &merge, err);

	if (rc == OK)
		rc = destination_tell_way(&c->to, false, &c->out, err);
	while (rc == OK && (rc = merge_next(merge, &m, err)) == OK && m) {
		rc = cancel_check(c->job->cancel, err);
		if (rc == OK && !is_destination(c, m) && !is_redirected(c, m))
			rc = write_entry(c, m, err);
	}
	return rc;
}

/* Behind all else: a link may lead anywhere. */
static int write_redirected(struct copying *c, struct err *err)
{
	int rc = OK;

	while (rc == OK && c->redirects) {
		struct redirect *r = c->redirects;

		c->redirects = r->next;
		c->number += c->items.n;
		c->items = (struct copy_items){ .all = &r->item, .n = 1 };
		c->beyond.len = 0;
		destination_free(&c->to);
		rc = set_destination(c, r->destination, err);
		if (rc == OK)
			rc = aim_all(c, err);
		if (rc == OK)
			rc = write_entries(c, err);
	}
	return rc;
}

static int run(struct copying *c, struct err *err)
{
	int rc = select_all(c, err);

	if (rc == OK)
		rc = set_destination(c, c->job->step->destination, err);
	if (rc == OK)
		rc = aim_all(c, err);
	if (rc == OK && c->items.n)
		rc = write_entries(c, err);
	if (rc == OK)
		rc = write_redirected(c, err);
	return rc == OK ? layer_out_end(&c->out, err) : rc;
}

int copy_layer(const struct copy_job *j, copy_write *write, void *arg, struct err *err)
{
	CLEANUP(freep) struct copying *c = calloc(1, sizeof *c);
	struct err local = ERR_INIT;
	int rc;

	if (!c)
		return fail_nomem(err);
	c->job = j;
	c->path = c->beyond = (struct buf)BUF_INIT(2 * TREE_PATH_MAX);
	arena_init(&c->arena, COPY_MEMORY_MAX);
	layer_out_init(&c->out, write, arg, j->cancel);
	rc = run(c, err ? err : &local);
	unpacked_free(&c->unpacked);
	destination_free(&c->to);
	layer_out_free(&c->out);
	arena_free(&c->arena);
	buf_free(&c->path);
	buf_free(&c->beyond);
	return rc;
}
