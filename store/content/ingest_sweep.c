#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "store/content/ingest_state.h"
#include "store/content/path.h"

typedef void each_file(struct store *s, const char *name, const struct stat *st, void *arg);

static int each(struct store *s, each_file *fn, void *arg, struct err *err)
{
	int fd = openat(s->ingest_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = OK;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		closep(&fd);
		return fail_errno(err, "list ingests");
	}
	while (r == OK) {
		struct dirent *e;
		struct stat st;

		if (!dir_next(dir, &e))
			r = fail_errno(err, "list ingests");
		else if (!e)
			break;
		else if (!fstatat(s->ingest_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode))
			fn(s, e->d_name, &st, arg);
	}
	closedir(dir);
	return r;
}

static void add_size(UNUSED struct store *s, UNUSED const char *name, const struct stat *st, void *arg)
{
	*(int64_t *)arg += st->st_size;
}

int ingest_usage(struct store *s, int64_t *ret_bytes, struct err *err)
{
	int64_t total = 0;
	int r = each(s, add_size, &total, err);

	if (r == OK)
		*ret_bytes = total;
	return r;
}

int64_t ingest_taken(struct store *s, const struct digest *d)
{
	enum { STAT_BLOCK = 512 };
	char name[CONTENT_PATH_MAX];
	struct stat st;

	if (fstatat(s->ingest_fd, ingest_data_name(d, 0, name), &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	return (int64_t)st.st_blocks * STAT_BLOCK;
}

/* ---- sweep ---------------------------------------------------------------- */

struct sweep {
	int64_t older_than_ns, freed;
	bool dry_run;
};

static int64_t mtime_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static void remove_file(struct store *s, const char *name, struct sweep *w)
{
	struct stat st;

	if (!fstatat(s->ingest_fd, name, &st, AT_SYMLINK_NOFOLLOW) && !unlinkat(s->ingest_fd, name, 0))
		w->freed += st.st_size;
}

static void remove_both(struct store *s, const struct digest *d, uint64_t serial, struct sweep *w)
{
	char name[CONTENT_PATH_MAX];

	remove_file(s, ingest_data_name(d, serial, name), w);
	if (!serial)
		remove_file(s, ingest_journal_name(d, name), w);
}

/* Data and journal are of one age: that of the one written last. */
static bool is_old(struct store *s, const struct digest *d, uint64_t serial, int64_t older_than_ns)
{
	char name[CONTENT_PATH_MAX];
	struct stat st;

	if (!fstatat(s->ingest_fd, ingest_data_name(d, serial, name), &st, AT_SYMLINK_NOFOLLOW) &&
	    mtime_ns(&st) >= older_than_ns)
		return false;
	return serial || fstatat(s->ingest_fd, ingest_journal_name(d, name), &st, AT_SYMLINK_NOFOLLOW) ||
	       mtime_ns(&st) < older_than_ns;
}

static void sweep_one(struct store *s, const char *name, const struct stat *st, void *arg)
{
	struct sweep *w = arg;
	struct ingest *hold;
	struct digest d;
	uint64_t serial;

	if (!ingest_parse_name(name, &d, &serial))
		return;
	hold = ingest_new(s, &d, -1, serial); /* has no files: it keeps others off the name */
	if (hold && ingest_list(hold)) {
		if (w->dry_run)
			w->freed += st->st_size; /* of this one; the other has its turn */
		else if (is_old(s, &d, serial, w->older_than_ns))
			remove_both(s, &d, serial, w);
		ingest_unlist(hold);
	}
	free(hold);
}

int ingest_unopened(struct store *s, int64_t *ret_bytes, struct err *err)
{
	struct sweep w = { .dry_run = true };
	int r = each(s, sweep_one, &w, err);

	if (r == OK)
		*ret_bytes = w.freed;
	return r;
}

void ingest_discard(struct store *s, const struct digest *d)
{
	struct sweep none = { 0 };
	struct ingest *hold;

	if (s->read_only || ingest_mark_unwanted(s, d))
		return;
	hold = ingest_new(s, d, -1, 0);
	if (hold && ingest_list(hold)) {
		remove_both(s, d, 0, &none);
		ingest_unlist(hold);
	}
	free(hold);
}

int ingest_sweep(struct store *s, int64_t older_than_ns, int64_t *ret_freed, struct err *err)
{
	struct sweep w = { .older_than_ns = older_than_ns };
	int r = store_writable(s, err);

	if (r == OK)
		r = each(s, sweep_one, &w, err);
	if (r == OK)
		*ret_freed = w.freed;
	return r;
}
