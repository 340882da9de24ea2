/*
 * What stands in the kernel against what is on record.
 */
#include <stdio.h>

#include "service/mount/fuse.h"
#include "service/mount/mountinfo.h"
#include "service/mount/mounts_internal.h"

char *mount_source(const struct mount_id *id, char out[MOUNT_SOURCE_MAX])
{
	char text[MOUNT_ID_TEXT_MAX];

	snprintf(out, MOUNT_SOURCE_MAX, MOUNT_SOURCE_PREFIX "%s", mount_id_text(id, text));
	return out;
}

/* ---- where it stands ---------------------------------------------------------------- */

struct finding {
	const char *source;
	const Imaged__Store__V1__MountRecord *record;
	struct mount_place *place;
	bool at_target;
};

static bool bytes_are(struct bytes b, const char *text)
{
	return b.len == strlen(text) && !memcmp(b.data, text, b.len);
}

static bool is_at_target(const Imaged__Store__V1__MountRecord *record, const struct mountinfo_line *line)
{
	return record->target.len == line->point.len && !memcmp(record->target.data, line->point.data, line->point.len);
}

static bool is_fuse_overlay(const struct mountinfo_line *line)
{
	return bytes_are(line->type, "fuse.fuse-overlayfs");
}

/* fuse-overlayfs does not take the name of a source: there the directory has to do. */
static bool is_fuse_of(const Imaged__Store__V1__MountRecord *record, const struct mountinfo_line *line)
{
	return record->way == IMAGED__V1__MOUNT_WAY__MOUNT_WAY_FUSE && is_fuse_overlay(line) &&
	       is_at_target(record, line);
}

/* It may have been bound to other places, too: its own directory comes before those. */
static int look_at(void *arg, const struct mountinfo_line *line)
{
	struct finding *f = arg;
	struct mount_place *p = f->place;
	bool at_target = is_at_target(f->record, line);

	if ((at_target || !f->at_target) && line->point.len < PATH_MAX &&
	    (bytes_are(line->source, f->source) || is_fuse_of(f->record, line))) {
		memcpy(p->point, line->point.data, line->point.len);
		p->point[line->point.len] = 0;
		p->number = line->mount_id;
		p->covered = false;
		f->at_target = at_target;
	} else if (*p->point && bytes_are(line->point, p->point)) {
		p->covered = true; /* later ones at the same place lie on top */
	}
	return OK;
}

int mounts_find(const struct mount_entry *e, struct mount_place *ret_place, struct err *err)
{
	char source[MOUNT_SOURCE_MAX];
	struct finding f = { .source = mount_source(&e->id, source), .record = e->record, .place = ret_place };

	*ret_place->point = 0;
	ret_place->covered = false;
	return mountinfo_read(look_at, &f, err);
}

/* ---- which of many stand -------------------------------------------------------------- */

struct roll_call {
	const struct mount_entry *entries;
	size_t n;
	bool *stands;
};

static void tick(struct roll_call *c, const struct mount_id *id, const struct mountinfo_line *line)
{
	for (size_t i = 0; i < c->n; i++)
		if (id ? mount_id_eq(id, &c->entries[i].id) : is_fuse_of(c->entries[i].record, line))
			c->stands[i] = true;
}

static int call_out(void *arg, const struct mountinfo_line *line)
{
	static const char prefix[] = MOUNT_SOURCE_PREFIX;
	size_t len = strlen(prefix);
	struct bytes source = line->source;
	struct mount_id id;

	if (is_fuse_overlay(line))
		tick(arg, NULL, line);
	else if (source.len > len && !memcmp(source.data, prefix, len) &&
		 mount_id_parse((struct bytes){ source.data + len, source.len - len }, &id))
		tick(arg, &id, line);
	return OK;
}

int mounts_which_stand(const struct mount_entry *entries, size_t n, bool *ret_stand, struct err *err)
{
	struct roll_call c = { entries, n, ret_stand };

	memset(ret_stand, 0, n * sizeof *ret_stand);
	return n ? mountinfo_read(call_out, &c, err) : OK;
}

/* ---- taking down ------------------------------------------------------------------------ */

int mounts_take_down(const struct mount_entry *e, bool lazy, struct err *err)
{
	struct mount_place p;
	int r;

	while ((r = mounts_find(e, &p, err)) == OK && *p.point) {
		if (p.covered)
			return fail(err, E_CONFLICT, "something else is mounted over '%s': unmount that first",
				    p.point);
		r = unmount_number(p.point, p.number, lazy, err);
		if (r != OK)
			return r;
	}
	return r;
}

int mounts_drop(struct mounts *m, const struct mount_entry *e, int64_t *ret_freed, struct err *err)
{
	int64_t freed = 0, content = 0;
	int r = mounts_take_down(e, true, err);

	layer_cache_release(&m->layers, &e->id);
	if (r == OK)
		r = mounts_remove_directory(m, &e->id, &freed, err);
	if (r == OK)
		r = mount_record_end(m->store, &e->id, &content, err);
	*ret_freed = freed + content;
	return r;
}

/* ---- tidying up ------------------------------------------------------------------------- */

/* Of a record that nobody works on, as it is now: what is committed and stands stays. */
static int tidy_one(struct mounts *m, const struct mount_id *id, struct arena *arena, struct err *err)
{
	struct mount_entry now;
	struct mount_place place;
	char text[MOUNT_ID_TEXT_MAX];
	int64_t freed;
	int r = mount_record_get(m->store, id, arena, &now, err);

	if (r == OK)
		r = mounts_find(&now, &place, err);
	if (r == OK && !(*place.point && now.record->committed))
		r = mounts_drop(m, &now, &freed, err);
	if (r == OK || r == E_NOT_FOUND)
		return OK;
	return err_wrap(err, "what is left of mount %s", mount_id_text(id, text));
}

static int tidy_claimed(struct mounts *m, const struct mount_entry *e, struct arena *arena, struct err *err)
{
	ProtobufCBinaryData target = e->record->target;
	CLEANUP(freep) char *path = bytes_to_string((struct bytes){ target.data, target.len });
	struct claim claim = { .target = path };
	int r;

	if (!path)
		return fail_nomem(err);
	if (!claim_begin(m, &claim))
		return OK; /* whoever has it sees to it */
	r = tidy_one(m, &e->id, arena, err);
	claim_end(m, &claim);
	return r;
}

/* Each of them, whatever becomes of the others. */
static int tidy_each(struct mounts *m, const struct mount_entry *entries, const bool *stand, size_t n,
		     struct arena *arena, struct err *err)
{
	int first = OK;

	for (size_t i = 0; i < n; i++) {
		bool stays = stand[i] && entries[i].record->committed;
		int r = stays ? OK : tidy_claimed(m, &entries[i], arena, first == OK ? err : NULL);

		if (first == OK)
			first = r;
	}
	return first;
}

int mounts_tidy(struct mounts *m, struct err *err)
{
	CLEANUP(arena_free) struct arena arena;
	CLEANUP(freep) bool *stand = NULL;
	struct mount_entry *entries;
	size_t n;
	int r;

	arena_init(&arena, MOUNTS_ARENA_MAX);
	if (m->directory < 0)
		return OK;
	r = mount_records_read(m->store, &arena, &entries, &n, err);
	if (r != OK)
		return r;
	stand = calloc(n + 1, sizeof *stand);
	if (!stand)
		return fail_nomem(err);
	r = mounts_which_stand(entries, n, stand, err);
	return r == OK ? tidy_each(m, entries, stand, n, &arena, err) : r;
}
