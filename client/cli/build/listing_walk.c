#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "client/cli/build/listing.h"
#include "client/cli/file_error.h"
#include "proto/runtime/hash.h"

enum { ENTRIES_FIRST = 1024, NAMES_FIRST = 64, LISTED_MAX = 4 * 1024 * 1024 };

static const size_t memory_max = (size_t)8 << 30; /* of names: a guard against a walk without end */

/* A file with several names: the first one. */
struct linked {
	struct {
		uint64_t device, inode;
	} key;
	struct bytes path;
	UT_hash_handle hh;
};

struct walk {
	struct listing *l;
	const struct ignore *ignore;
	struct linked *linked;
	size_t len; /* of the path */
	char path[CONTEXT_PATH_MAX + 1];
};

/* A directory that is being walked. */
struct level {
	struct level *parent; /* NULL: the root */
	int fd;
	bool listed; /* it has its entry */
	struct statx st;
	size_t path_len;
	char *names; /* one after another */
	size_t names_len, names_capacity;
	size_t *at; /* where each begins; sorted */
	size_t n, capacity;
};

static struct bytes path_of(const struct walk *w)
{
	return (struct bytes){ (const uint8_t *)w->path, w->len };
}

/* ---- entries -------------------------------------------------------------------------- */

static int add_room(struct listing *l, struct err *err)
{
	size_t capacity = l->capacity ? 2 * l->capacity : ENTRIES_FIRST;
	struct context_entry *entries;

	if (l->n < l->capacity)
		return OK;
	if (l->n >= LISTED_MAX)
		return fail(err, E_LIMIT, "%s: more than %d files: exclude some by .dockerignore", l->root, LISTED_MAX);
	entries = reallocarray(l->entries, capacity, sizeof *entries);
	if (!entries)
		return fail_nomem(err);
	l->entries = entries;
	l->capacity = capacity;
	return OK;
}

static int keep(struct walk *w, struct bytes b, struct bytes *ret_kept, struct err *err)
{
	char *copy = arena_bytes(&w->l->memory, b);

	if (!copy)
		return fail_nomem(err);
	*ret_kept = (struct bytes){ (const uint8_t *)copy, b.len };
	return OK;
}

static int read_link(struct walk *w, int directory, const char *name, struct context_entry *e, struct err *err)
{
	uint8_t target[CONTEXT_LINK_MAX + 1];
	ssize_t n = readlinkat(directory, name, (char *)target, sizeof target);

	if (n < 0)
		return listing_fail(w->l, "readlink", path_of(w), err);
	if (!n || (size_t)n > CONTEXT_LINK_MAX)
		return fail(err, E_LIMIT, "readlink %s/%s: its target is too long", w->l->root, w->path);
	return keep(w, (struct bytes){ target, (size_t)n }, &e->link, err);
}

/* Of a file with several names: what it is the same as, or that it is the first. */
static int look_linked(struct walk *w, const struct statx *st, struct context_entry *e, struct err *err)
{
	struct linked *known, *own = arena_alloc(&w->l->memory, sizeof *own);

	if (!own)
		return fail_nomem(err);
	own->key.device = (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor;
	own->key.inode = st->stx_ino;
	HASH_FIND(hh, w->linked, &own->key, sizeof own->key, known);
	if (known) {
		e->same_as = known->path;
		e->stamp = 0;
		return OK;
	}
	own->path = e->path;
	HASH_ADD(hh, w->linked, key, sizeof own->key, own);
	return HASH_ADDED(own) ? OK : fail_nomem(err);
}

static int fill(struct walk *w, int directory, const char *name, const struct statx *st, struct context_entry *e,
		struct err *err)
{
	*e = (struct context_entry){
		.mode = st->stx_mode,
		.mtime_ns = st->stx_mtime.tv_sec * INT64_C(1000000000) + st->stx_mtime.tv_nsec,
	};
	if (keep(w, path_of(w), &e->path, err) < 0)
		return err->code;
	if (S_ISLNK(st->stx_mode))
		return read_link(w, directory, name, e, err);
	if (S_ISCHR(st->stx_mode) || S_ISBLK(st->stx_mode))
		e->device = (uint64_t)st->stx_rdev_major << 32 | st->stx_rdev_minor;
	if (!S_ISREG(st->stx_mode))
		return OK;
	e->size = (int64_t)st->stx_size;
	e->stamp = listing_stamp(st);
	return st->stx_nlink > 1 ? look_linked(w, st, e, err) : OK;
}

/* ---- directories ------------------------------------------------------------------------ */

static int list_directory(struct walk *w, struct level *d, struct err *err)
{
	struct context_xattr *xattrs;
	struct context_entry *e;
	size_t len = w->len;
	int r = OK;

	if (d->listed || !d->parent)
		return OK;
	if (!d->parent->listed)
		r = list_directory(w, d->parent, err);
	if (r == OK)
		r = add_room(w->l, err);
	if (r != OK)
		return r;
	e = &w->l->entries[w->l->n];
	w->len = d->path_len; /* its own path is the beginning of the one below it */
	r = fill(w, d->fd, "", &d->st, e, err);
	w->len = len;
	if (r == OK)
		r = listing_xattrs(d->fd, &w->l->memory, &xattrs, &e->n_xattrs, err);
	if (r != OK)
		return r;
	e->xattrs = xattrs;
	w->l->n++;
	d->listed = true;
	return OK;
}

static int add_name(struct level *d, const char *name, struct err *err)
{
	size_t len = strlen(name) + 1;

	if (d->names_len + len > d->names_capacity) {
		size_t capacity = 2 * d->names_capacity + 16 * NAMES_FIRST + len;
		char *names = realloc(d->names, capacity);

		if (!names)
			return fail_nomem(err);
		d->names = names;
		d->names_capacity = capacity;
	}
	if (d->n == d->capacity) {
		size_t capacity = d->capacity ? 2 * d->capacity : NAMES_FIRST;
		size_t *at = reallocarray(d->at, capacity, sizeof *at);

		if (!at)
			return fail_nomem(err);
		d->at = at;
		d->capacity = capacity;
	}
	memcpy(d->names + d->names_len, name, len);
	d->at[d->n++] = d->names_len;
	d->names_len += len;
	return OK;
}

static int by_name(const void *a, const void *b, void *names)
{
	return strcmp((const char *)names + *(const size_t *)a, (const char *)names + *(const size_t *)b);
}

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

static int read_names(struct walk *w, struct level *d, struct err *err)
{
	int fd = fcntl(d->fd, F_DUPFD_CLOEXEC, 0), r = OK;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e = NULL;

	if (!dir) {
		closep(&fd);
		return listing_fail(w->l, "open", path_of(w), err);
	}
	while (r == OK) {
		errno = 0;
		e = readdir(dir);
		if (!e)
			break;
		if (!is_dots(e->d_name) && e->d_type != DT_SOCK)
			r = add_name(d, e->d_name, err);
	}
	if (r == OK && errno)
		r = listing_fail(w->l, "readdirent", path_of(w), err);
	closedir(dir);
	if (r == OK && d->n)
		qsort_r(d->at, d->n, sizeof *d->at, by_name, d->names);
	return r;
}

static void level_free(struct level *d)
{
	closep(&d->fd);
	free(d->names);
	free(d->at);
}

/* ---- the walk --------------------------------------------------------------------------- */

static int walk_level(struct walk *w, struct level *d, struct err *err);

static int walk_directory(struct walk *w, struct level *parent, const char *name, const struct statx *st, bool excluded,
			  struct err *err)
{
	CLEANUP(level_free)
	struct level d = { .parent = parent, .path_len = w->len, .st = *st };
	int r = OK;

	d.fd = openat(parent->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (d.fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? OK : listing_fail(w->l, "open", path_of(w), err);
	if (!excluded)
		r = list_directory(w, &d, err);
	return r == OK ? walk_level(w, &d, err) : r;
}

static int walk_other(struct walk *w, struct level *d, const char *name, const struct statx *st, struct err *err)
{
	int r = list_directory(w, d, err);

	if (r == OK)
		r = add_room(w->l, err);
	if (r == OK)
		r = fill(w, d->fd, name, st, &w->l->entries[w->l->n], err);
	w->l->n += r == OK;
	return r;
}

static bool is_excluded(const struct walk *w)
{
	return w->ignore && ignore_excludes(w->ignore, path_of(w));
}

static bool is_worth_walking(const struct walk *w)
{
	return w->ignore->exceptions && ignore_may_except_below(w->ignore, path_of(w));
}

static int walk_name(struct walk *w, struct level *d, const char *name, struct err *err)
{
	bool excluded = is_excluded(w);
	struct statx st = { .stx_mask = 0 };

	if (excluded && !is_worth_walking(w))
		return OK;
	if (statx(d->fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &st))
		return errno == ENOENT ? OK : listing_fail(w->l, "lstat", path_of(w), err);
	if (S_ISDIR(st.stx_mode))
		return walk_directory(w, d, name, &st, excluded, err);
	return excluded || S_ISSOCK(st.stx_mode) ? OK : walk_other(w, d, name, &st, err);
}

/* The path grows by the name, and is as before afterwards. */
static int enter_name(struct walk *w, const char *name, struct err *err)
{
	size_t slash = w->len > 0, len = strlen(name);

	if (w->len + slash + len > CONTEXT_PATH_MAX)
		return fail(err, E_LIMIT, "%s/%s/%s: path is longer than %d bytes", w->l->root, w->path, name,
			    CONTEXT_PATH_MAX);
	if (slash)
		w->path[w->len] = '/';
	memcpy(w->path + w->len + slash, name, len + 1);
	w->len += slash + len;
	return OK;
}

static int walk_level(struct walk *w, struct level *d, struct err *err)
{
	size_t len = w->len;
	int r = read_names(w, d, err);

	for (size_t i = 0; r == OK && i < d->n; i++) {
		const char *name = d->names + d->at[i];

		r = enter_name(w, name, err);
		if (r == OK)
			r = walk_name(w, d, name, err);
		w->len = len;
		w->path[len] = 0;
	}
	return r;
}

/* Each level of the tree takes a descriptor. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int walk(struct listing *l, const struct ignore *ignore, struct err *err)
{
	CLEANUP(freep) struct walk *w = calloc(1, sizeof *w);
	CLEANUP(level_free) struct level root = { .fd = -1, .listed = true };
	int r;

	if (!w)
		return fail_nomem(err);
	w->l = l;
	w->ignore = ignore;
	root.fd = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
	r = root.fd < 0 ? listing_fail(l, "open", (struct bytes){ 0 }, err) : walk_level(w, &root, err);
	HASH_CLEAR(hh, w->linked);
	return r;
}

static struct digest digest_of_list(const struct listing *l)
{
	struct hasher h;

	hasher_init(&h, DIGEST_SHA256);
	for (size_t i = 0; i < l->n; i++)
		context_entry_hash(&h, &l->entries[i]);
	return hasher_final(&h);
}

int listing_make(const char *root, const struct ignore *ignore, struct listing *ret_listing, struct err *err)
{
	CLEANUP(listing_free) struct listing l = LISTING_INIT;
	int r;

	arena_init(&l.memory, memory_max);
	l.root = strdup(root);
	if (!l.root)
		return fail_nomem(err);
	l.fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l.fd < 0)
		return listing_fail(&l, "open", (struct bytes){ 0 }, err);
	raise_descriptors();
	r = walk(&l, ignore, err);
	if (r != OK)
		return r;
	l.digest = digest_of_list(&l);
	*ret_listing = l;
	l = (struct listing)LISTING_INIT;
	return OK;
}
