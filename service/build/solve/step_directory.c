#include "service/build/solve/step_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "service/build/run/worker/remove_tree.h"

struct gone {
	struct step_directory directory;
	struct gone *next;
};

struct step_directories {
	struct store *store;
	const struct run_config *run;
	char prefix[RUN_ID_MAX / 2]; /* of this store's steps */
	atomic_uint serial;
	pthread_mutex_t mu;
	pthread_cond_t work;
	/* Guarded by mu. */
	struct gone *first;
	pthread_t thread;
	bool started, closing;
};

/* ---- the place -------------------------------------------------------------------- */

static int open_in(int dir, const char *name)
{
	if (mkdirat(dir, name, 0700) && errno != EEXIST)
		return -1;
	return openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int open_place(struct step_directories *d, int *ret_fd, struct err *err)
{
	CLEANUP(closep) int root = open(store_root(d->store), O_PATH | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(closep) int builds = root < 0 ? -1 : open_in(root, "builds");

	*ret_fd = builds < 0 ? -1 : open_in(builds, "steps");
	return *ret_fd < 0 ? fail_errno(err, "open the directory of build steps in '%s'", store_root(d->store)) : OK;
}

static int check_place(struct step_directories *d, int place, struct err *err)
{
	struct statfs fs;

	if (fstatfs(place, &fs))
		return fail_errno(err, "look at the file system of '%s'", store_root(d->store));
	if (fs.f_type == OVERLAYFS_SUPER_MAGIC)
		return fail(err, E_UNSUPPORTED,
			    "RUN needs an overlay, and '%s' is on one itself, which the kernel does not stack: give "
			    "imaged a --root on another file system (in a container: a volume)",
			    store_root(d->store));
	return OK;
}

/* ---- making ------------------------------------------------------------------------- */

/* Of a step whose cgroup is not where the sweep looks. */
static const char parent_mark[] = "trusted.imaged.cgroup-parent";

static bool is_own_parent(const struct step_directories *d, const char *parent)
{
	const char *own = d->run->cgroup_parent;

	return !parent || (own && !strcmp(parent, own));
}

int step_directory_make(struct step_directories *d, const char *cgroup_parent, struct step_directory *ret_directory,
			struct err *err)
{
	unsigned serial = atomic_fetch_add(&d->serial, 1);
	struct step_directory made = { .fd = -1 };
	CLEANUP(closep) int place = -1;

	if (open_place(d, &place, err) < 0 || check_place(d, place, err) < 0)
		return err->code;
	snprintf(made.id, sizeof made.id, "%s%d-%u", d->prefix, (int)getpid(), serial);
	/* An older one of this name is emptied by the step itself. */
	made.fd = open_in(place, made.id);
	if (made.fd < 0)
		return fail_errno(err, "make a directory for a build step in '%s'", store_root(d->store));
	/* Without root there is no cgroup; and where it cannot be noted, a kill leaves an empty one. */
	if (!is_own_parent(d, cgroup_parent))
		fsetxattr(made.fd, parent_mark, cgroup_parent, strlen(cgroup_parent), 0);
	*ret_directory = made;
	return OK;
}

/* ---- removing ----------------------------------------------------------------------- */

/* A process of its own only for files of ids that this one has no power over. */
static void empty(const struct step_directories *d, int directory)
{
	if (geteuid() != 0 || remove_tree_content(directory, NULL) < 0)
		run_remove(d->run, directory, NULL);
}

/* What stays is swept up at the next start. */
static void remove_one(struct step_directories *d, struct step_directory *directory)
{
	CLEANUP(closep) int place = -1;

	empty(d, directory->fd);
	closep(&directory->fd);
	if (open_place(d, &place, NULL) == OK)
		unlinkat(place, directory->id, AT_REMOVEDIR);
}

static struct gone *take(struct step_directories *d)
{
	struct gone *all;

	pthread_mutex_lock(&d->mu);
	while (!d->first && !d->closing)
		pthread_cond_wait(&d->work, &d->mu);
	all = TAKE(d->first);
	pthread_mutex_unlock(&d->mu);
	return all;
}

static void *thread_main(void *arg)
{
	struct step_directories *d = arg;
	struct gone *g, *next;

	pthread_setname_np(pthread_self(), "build-tidy");
	while ((g = take(d)))
		for (; g; g = next) {
			next = g->next;
			remove_one(d, &g->directory);
			free(g);
		}
	return NULL;
}

/* With the lock. */
static bool start(struct step_directories *d)
{
	if (!d->started)
		d->started = !pthread_create(&d->thread, NULL, thread_main, d);
	return d->started;
}

void step_directory_give_back(struct step_directories *d, struct step_directory *directory)
{
	struct gone *g = calloc(1, sizeof *g);
	bool later;

	pthread_mutex_lock(&d->mu);
	later = g && start(d);
	if (later) {
		g->directory = *directory;
		g->next = d->first;
		d->first = g;
		pthread_cond_signal(&d->work);
	}
	pthread_mutex_unlock(&d->mu);
	if (!later) {
		free(g);
		remove_one(d, directory);
	}
	directory->fd = -1;
}

/* Another daemon of this machine has another store. */
static int set_prefix(struct step_directories *d, struct err *err)
{
	struct stat st;

	if (stat(store_root(d->store), &st))
		return fail_errno(err, "look at '%s'", store_root(d->store));
	snprintf(d->prefix, sizeof d->prefix, "%llx-%llx-", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	return OK;
}

/* ---- life ----------------------------------------------------------------------------- */

int step_directories_new(struct store *s, const struct run_config *run, struct step_directories **ret_directories,
			 struct err *err)
{
	struct step_directories *d = calloc(1, sizeof *d);
	int r;

	if (!d)
		return fail_nomem(err);
	d->store = s;
	d->run = run;
	r = set_prefix(d, err);
	if (r != OK) {
		free(d);
		return r;
	}
	pthread_mutex_init(&d->mu, NULL);
	pthread_cond_init(&d->work, NULL);
	*ret_directories = d;
	return OK;
}

void step_directories_free(struct step_directories *d)
{
	if (!d)
		return;
	pthread_mutex_lock(&d->mu);
	d->closing = true;
	pthread_cond_signal(&d->work);
	pthread_mutex_unlock(&d->mu);
	if (d->started)
		pthread_join(d->thread, NULL);
	pthread_cond_destroy(&d->work);
	pthread_mutex_destroy(&d->mu);
	free(d);
}

/* ---- what another process left ----------------------------------------------------------- */

static void sweep_cgroup(int directory, const char *id)
{
	char parent[PATH_MAX];
	ssize_t n = fgetxattr(directory, parent_mark, parent, sizeof parent - 1);

	if (n <= 0)
		return;
	parent[n] = 0;
	run_sweep_step(parent, id);
}

static void sweep_one(struct step_directories *d, int place, const char *name)
{
	CLEANUP(closep) int fd = openat(place, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return;
	sweep_cgroup(fd, name);
	empty(d, fd);
	unlinkat(place, name, AT_REMOVEDIR);
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

void step_directories_sweep(struct step_directories *d)
{
	CLEANUP(closep) int place = -1;
	CLEANUP(closedirp) DIR *dir = NULL;
	struct dirent *e;
	unsigned removed;

	run_sweep(d->run, d->prefix, &removed, NULL);
	if (open_place(d, &place, NULL) < 0)
		return;
	dir = fdopendir(dup(place));
	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			sweep_one(d, place, e->d_name);
}
