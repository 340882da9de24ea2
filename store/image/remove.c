/*
 * docker rmi: what one argument removes (docker-cli.md 7).
 */
#include "store/image/image_record.h"
#include "store/image/name.h"
#include "store/image/names.h"
#include "store/image/parent.h"
#include "store/image/pins.h"
#include "store/image/removing.h"
#include "store/internal.h"
#include "store/mounts/mount_record.h"

enum { TRIES = 50, SHORT_ID = 12, REMOVE_ARENA = 64 * 1024 * 1024 };

/* ---- rules ---------------------------------------------------------------- */

/* As docker tells an ID from a name: by its text. "ab" is an ID of ab12… even when
 * an image of that ID is also named ab. */
static bool is_prefix_of_id(const struct digest *config, const char *text)
{
	char id[DIGEST_TEXT_MAX], hex[DIGEST_TEXT_MAX];
	size_t len = strlen(text);

	return !strncmp(digest_text(config, id), text, len) || !strncmp(digest_hex(config, hex), text, len);
}

/* One name; or one tag, or none, and all digest names in one repository. */
static bool is_single_reference(char *const *names, size_t n)
{
	const char *tag = NULL, *digest = NULL;

	if (n <= 1)
		return n == 1;
	for (size_t i = 0; i < n; i++) {
		const char **kind = name_has_tag(names[i]) ? &tag : &digest;

		if (tag && kind == &tag)
			return false;
		if (digest && kind == &digest && !name_same_repository(digest, names[i]))
			return false;
		*kind = names[i];
	}
	return !tag || (digest && name_same_repository(tag, digest));
}

static int fail_children(const struct removing *w, struct err *err)
{
	char hex[DIGEST_TEXT_MAX];

	return fail(err, E_CONFLICT,
		    "conflict: unable to delete %.*s (cannot be forced) - image has dependent child images", SHORT_ID,
		    digest_hex(&w->config, hex));
}

static int fail_conflict(const struct removing *w, struct err *err)
{
	char hex[DIGEST_TEXT_MAX];

	return fail(err, E_CONFLICT,
		    "conflict: unable to delete %.*s (must be forced) - image is referenced in multiple repositories",
		    SHORT_ID, digest_hex(&w->config, hex));
}

/* A mounted image stays, as one that a container uses does in docker; forced, it loses its
 * names and its record, and the mount keeps its content. */
static int check_unmounted(struct removing *w, struct err *err)
{
	char hex[DIGEST_TEXT_MAX], *target;
	int r = mount_of_manifests(w->store, w->image.manifests, w->image.n_manifests, &w->arena, &target, err);

	if (r != OK || !target)
		return r;
	return fail(err, E_CONFLICT, "conflict: unable to delete %.*s (must be forced) - image is mounted at '%s'",
		    SHORT_ID, digest_hex(&w->config, hex), target);
}

static int fail_pinned(const struct removing *w, const char *by, struct err *err)
{
	char hex[DIGEST_TEXT_MAX];

	return fail(err, E_CONFLICT,
		    "conflict: unable to delete %.*s (must be forced) - image is pinned by %s: use --force", SHORT_ID,
		    digest_hex(&w->config, hex), by);
}

/* A pinned image stays, and with it the names by which rules pin it. */
static int check_unpinned(const struct removing *w, struct err *err)
{
	char familiar[REFERENCE_TEXT_MAX];

	if (w->delete_image && w->image.pinned_by)
		return fail_pinned(w, w->image.pinned_by, err);
	for (size_t i = 0; i < w->n_names; i++) {
		const char *rule = pins_match_name(w->store->pins, w->names[i]);

		name_familiar(w->names[i], familiar);
		if (rule)
			return fail(err, E_CONFLICT,
				    "conflict: unable to remove repository reference \"%s\" (must force) - it is "
				    "pinned by %s: use --force",
				    familiar, rule);
	}
	return OK;
}

/* ---- decide --------------------------------------------------------------- */

static int decide_by_id(struct removing *w, struct err *err)
{
	const struct image *i = &w->image;

	if (w->has_children)
		return fail_children(w, err);
	if (i->n_names && !w->r->force && !is_single_reference(i->names, i->n_names))
		return fail_conflict(w, err);
	w->names = i->names;
	w->n_names = i->n_names;
	w->delete_image = true;
	return OK;
}

static bool has_other_tag(const struct image *image, const char *name)
{
	for (size_t i = 0; i < image->n_names; i++)
		if (strcmp(image->names[i], name) && name_has_tag(image->names[i]) &&
		    name_same_repository(image->names[i], name))
			return true;
	return false;
}

static bool has_name(char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

static bool has_all_names(const struct removing *w)
{
	for (size_t i = 0; i < w->image.n_names; i++)
		if (!has_name(w->names, w->n_names, w->image.names[i]))
			return false;
	return true;
}

/* The image was found by this name and its names were read afterwards: without it, the
 * name was moved in between. (Or its edge is damaged: then it goes, and the image, whose
 * names cannot be told, stays.) */
static int check_still_named(struct removing *w, const char *name, struct err *err)
{
	struct name n;
	int r;

	if (has_name(w->image.names, w->image.n_names, name))
		return OK;
	r = name_read(w->store, name, &n, err);
	if (r != OK)
		return r;
	for (size_t i = 0; n.revision && i < w->image.n_manifests; i++)
		if (digest_eq(&n.manifest, &w->image.manifests[i]))
			return OK;
	return fail(err, E_ABORTED, "the name was moved meanwhile");
}

/* The name, and with the last tag of a repository its digest names. An image that others
 * were made from stays without a word, as in docker. */
static int decide_by_name(struct removing *w, const char *name, struct err *err)
{
	bool digests_too = name_has_tag(name) && !has_other_tag(&w->image, name);
	int r = check_still_named(w, name, err);

	if (r != OK)
		return r;
	w->names = arena_array(&w->arena, w->image.n_names + 1, sizeof *w->names);
	if (!w->names)
		return fail_nomem(err);
	w->names[0] = arena_string(&w->arena, name);
	if (!w->names[0])
		return fail_nomem(err);
	w->n_names = 1;
	for (size_t i = 0; digests_too && i < w->image.n_names; i++)
		if (!name_has_tag(w->image.names[i]) && name_same_repository(w->image.names[i], name))
			w->names[w->n_names++] = w->image.names[i];
	w->delete_image = !w->has_children && has_name(w->image.names, w->image.n_names, name) && has_all_names(w);
	return OK;
}

static int stored_name(const char *text, char out[REFERENCE_TEXT_MAX], struct err *err)
{
	struct reference ref;
	int r = reference_parse(text, &ref, err);

	if (r != OK)
		return r;
	reference_default_tag(&ref);
	return name_text(&ref, out, err);
}

static const struct gone *gone_of(const struct removing *w)
{
	return w->r->rehearsal ? &w->r->rehearsal->gone : NULL;
}

static void forget_gone_names(const struct gone *gone, struct image *i)
{
	size_t n = 0;

	for (size_t k = 0; k < i->n_names; k++)
		if (!gone_has_name(gone, i->names[k]))
			i->names[n++] = i->names[k];
	i->n_names = n;
}

/* The image as it is now. Revisions first: a name that comes after shows in them. */
static int look(struct removing *w, struct err *err)
{
	struct image *i = &w->image;
	int r = digest_from_data(i->record->config, &w->config, err);

	w->revisions = arena_array(&w->arena, i->n_manifests + 1, sizeof *w->revisions);
	if (r == OK && !w->revisions)
		r = fail_nomem(err);
	for (size_t k = 0; r == OK && k < i->n_manifests; k++) {
		struct key c = key_config(&w->config, &i->manifests[k]);

		r = record_revision(w->store->shared, &c, &w->revisions[k], err);
	}
	if (r == OK)
		r = names_of(w->store, i->manifests, i->n_manifests, &w->arena, &i->names, &i->n_names, err);
	if (r == OK)
		forget_gone_names(gone_of(w), i);
	if (r == OK)
		r = image_has_children(w->store, &w->config, gone_of(w), &w->has_children, err);
	if (r == OK)
		r = image_parent(w->store, &w->config, &w->has_parent, &w->parent, err);
	return r == E_NOT_FOUND ? fail(err, E_ABORTED, "the image was removed meanwhile") : r;
}

/* What tries of one call have in common. */
struct attempt {
	const char *text;	   /* what was asked for, */
	const struct image *image; /* or which */
	bool by_id;
	struct digest manifest; /* of the image that was found first */
	bool begun;		/* something of it was removed: from now on it is this image */
	bool has_parent;	/* the image is gone, and was made from this one */
	struct digest parent;
};

static int decide(struct removing *w, struct attempt *a, struct err *err)
{
	char name[REFERENCE_TEXT_MAX];
	int r = image_resolve_without(w->store, gone_of(w), a->text, &w->arena, &w->image, &a->by_id, err);

	if (r == OK)
		r = look(w, err);
	if (r != OK)
		return r;
	a->manifest = w->image.manifest;
	a->by_id = a->by_id || is_prefix_of_id(&w->config, a->text);
	if (a->by_id)
		return decide_by_id(w, err);
	r = stored_name(a->text, name, err);
	return r == OK ? decide_by_name(w, name, err) : r;
}

/* The name that was asked for is gone, and might be the prefix of another image's
 * ID: what is left to do is about this image only. *ret_done: nothing is. */
static int decide_again(struct removing *w, struct attempt *a, bool *ret_done, struct err *err)
{
	int r = image_fill(w->store, &a->manifest, &w->arena, &w->image, err);

	if (r == OK)
		r = look(w, err);
	*ret_done = r == E_NOT_FOUND || r == E_ABORTED ||
		    (r == OK && !a->by_id && (w->image.n_names || w->has_children));
	if (*ret_done)
		return OK;
	return r == OK ? decide_by_id(w, err) : r;
}

/* ---- do ------------------------------------------------------------------- */

static void begin(struct removing *w, struct store *s, struct removal *r)
{
	*w = (struct removing){ .store = s, .r = r };
	arena_init(&w->arena, REMOVE_ARENA);
}

static void end(struct removing *w)
{
	arena_free(&w->arena);
	digest_list_free(&w->roots);
	digest_list_free(&w->blobs);
}

static int carry_out(struct removing *w, struct err *err)
{
	return w->r->dry_run ? removing_try(w, err) : removing_run(w, err);
}

static void note_parent(struct attempt *a, const struct removing *w)
{
	a->has_parent = w->delete_image && w->has_parent;
	a->parent = w->parent;
}

static int remove_once(struct store *s, struct attempt *a, struct removal *r, struct err *err)
{
	CLEANUP(end) struct removing w;
	bool done = false;
	int code;

	begin(&w, s, r);
	code = a->begun ? decide_again(&w, a, &done, err) : decide(&w, a, err);
	if (code == OK && !done && !r->force)
		code = check_unpinned(&w, err);
	if (code == OK && !done && w.delete_image && !r->force)
		code = check_unmounted(&w, err);
	if (code == OK && !done)
		code = carry_out(&w, err);
	a->begun = a->begun || w.visited;
	if (code == OK)
		note_parent(a, &w);
	return code;
}

static bool same_names(const struct image *a, const struct image *b)
{
	if (a->n_names != b->n_names)
		return false;
	for (size_t i = 0; i < a->n_names; i++)
		if (strcmp(a->names[i], b->names[i]))
			return false;
	return true;
}

static int decide_whole(struct removing *w, const struct image *expected, struct err *err)
{
	int r = image_get(w->store, &expected->manifest, &w->arena, &w->image, err);

	if (r == OK)
		r = look(w, err);
	if (r != OK)
		return r;
	if (!same_names(&w->image, expected)) {
		char hex[DIGEST_TEXT_MAX];

		return fail(err, E_CONFLICT, "conflict: unable to delete %.*s - its names have changed meanwhile",
			    SHORT_ID, digest_hex(&w->config, hex));
	}
	w->names = w->image.names;
	w->n_names = w->image.n_names;
	w->delete_image = !w->has_children;
	return w->delete_image || w->n_names ? OK : fail_children(w, err);
}

static int delete_once(struct store *s, struct attempt *a, struct removal *r, struct err *err)
{
	CLEANUP(end) struct removing w;
	int code;

	begin(&w, s, r);
	code = decide_whole(&w, a->image, err);
	if (code == OK && !r->force && w.image.pinned_by)
		code = fail_pinned(&w, w.image.pinned_by, err);
	if (code == OK && w.delete_image)
		code = check_unmounted(&w, err);
	if (code == OK)
		code = carry_out(&w, err);
	if (code == OK)
		note_parent(a, &w);
	return code;
}

/* ---- parents -------------------------------------------------------------- */

/* It goes when nobody names or pins it and nothing stands on it any more. */
static int decide_parent(struct removing *w, const struct digest *config, struct err *err)
{
	struct digest manifest;
	int r;

	if (gone_has_record(gone_of(w), config))
		return OK;
	r = first_manifest_of(w->store, config, &manifest, err);
	if (r == OK)
		r = image_fill(w->store, &manifest, &w->arena, &w->image, err);
	if (r == OK)
		r = look(w, err);
	if (r == OK && !w->image.n_names && !w->has_children && !w->image.pinned_by) {
		r = check_unmounted(w, err);
		w->delete_image = r == OK;
	}
	return r == E_NOT_FOUND || r == E_CONFLICT ? OK : r;
}

static int remove_parent(struct store *s, struct removal *r, struct attempt *a, struct err *err)
{
	CLEANUP(end) struct removing w;
	int code;

	begin(&w, s, r);
	code = decide_parent(&w, &a->parent, err);
	if (code == OK && w.delete_image)
		code = carry_out(&w, err);
	if (code == OK)
		note_parent(a, &w);
	return code;
}

static int remove_parents(struct store *s, struct removal *r, struct attempt *a, struct err *err)
{
	int tries = 0, code = OK;

	while (code == OK && a->has_parent && !r->keep_parents) {
		code = remove_parent(s, r, a, err);
		if (code == E_ABORTED && ++tries < TRIES)
			code = OK;
	}
	return code;
}

/* ---- all of it ------------------------------------------------------------ */

static int remove_until_done(struct store *s, struct attempt *a, struct removal *r, struct err *err)
{
	int tries = 0, code;

	do
		code = a->image ? delete_once(s, a, r, err) : remove_once(s, a, r, err);
	while (code == E_ABORTED && ++tries < TRIES);
	return code == OK ? remove_parents(s, r, a, err) : code;
}

/* An image and its parents are removed one after the other, in a dry run too. */
static int rehearse_alone(struct store *s, struct attempt *a, struct removal *r, struct err *err)
{
	CLEANUP(rehearsal_free) struct rehearsal own = { .store = s };
	int code;

	r->rehearsal = &own;
	code = remove_until_done(s, a, r, err);
	r->rehearsal = NULL;
	return code == OK ? rehearsal_freed(&own, NULL, &r->freed, err) : code;
}

static int carry_out_attempt(struct store *s, struct attempt *a, struct removal *r, struct err *err)
{
	int code = r->dry_run ? OK : store_writable(s, err);

	r->freed = 0;
	if (code != OK)
		return code;
	return r->dry_run && !r->rehearsal ? rehearse_alone(s, a, r, err) : remove_until_done(s, a, r, err);
}

int image_remove(struct store *s, const char *text, struct removal *r, struct err *err)
{
	struct attempt a = { .text = text };

	return carry_out_attempt(s, &a, r, err);
}

int image_delete(struct store *s, const struct image *image, struct removal *r, struct err *err)
{
	struct attempt a = { .image = image };

	return carry_out_attempt(s, &a, r, err);
}
