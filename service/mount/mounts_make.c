/*
 * From the images of layers to a file system at a directory.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "proto/runtime/buf.h"
#include "service/mount/fuse.h"
#include "service/mount/kernel_fs.h"
#include "service/mount/layer_way.h"
#include "service/mount/mounts_internal.h"
#include "service/mount/overlay.h"
#include "service/mount/stage.h"

enum { PATHS_ARENA_MAX = 8 * 1024 * 1024, NAMES_MAX = 4096 };

struct making {
	struct mounts *mounts;
	const struct mount_id *id;
	const struct mount_request *request;
	Imaged__V1__MountWay way;
	struct cancel *cancel;
	int layers[OVERLAY_LAYERS_MAX + 1]; /* the topmost first, and an empty directory */
	size_t n, n_layers;		    /* with and without that */
	bool cut;			    /* the last one hides all below */
	int upper, work;
	char *path; /* ROOT/mounts/ID */
	struct stage stage;
};

static void making_release(struct making *k)
{
	for (size_t i = 0; i < k->n; i++)
		close(k->layers[i]);
	closep(&k->upper);
	closep(&k->work);
	stage_close(&k->stage);
	free(k->path);
}

/* ---- layers ----------------------------------------------------------------------- */

/* A layer that comes twice counts where it is higher: there it says all that it would say
 * below, and overlayfs refuses the same directory twice. */
static bool comes_again(const struct mount_request *q, size_t i)
{
	for (size_t k = i + 1; k < q->n_layers; k++)
		if (digest_eq(&q->diff_ids[k], &q->diff_ids[i]))
			return true;
	return false;
}

static int mount_fuse(struct making *k, int image, int *ret_mount, struct err *err)
{
	CLEANUP(freep) char *path = NULL;

	if (stage_next(&k->stage, &path, err) < 0 || fuse_mount_layer(image, path, err) < 0)
		return err->code;
	*ret_mount = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_mount < 0 ? fail_errno(err, "open '%s'", path) : OK;
}

static int mount_layer(struct making *k, int image, int *ret_mount, struct err *err)
{
	switch (k->way) {
	case IMAGED__V1__MOUNT_WAY__MOUNT_WAY_LOOP:
		return layer_mount_loop(image, ret_mount, err);
	case IMAGED__V1__MOUNT_WAY__MOUNT_WAY_FUSE:
		return mount_fuse(k, image, ret_mount, err);
	default:
		return layer_mount_file(image, ret_mount, err);
	}
}

static int make_layer(struct making *k, const struct layer_key *key, struct err *err)
{
	CLEANUP(closep) int image = -1;
	struct layer_image_facts facts;
	char text[DIGEST_TEXT_MAX];

	if (k->request->open_layer(k->request->arg, &key->diff_id, k->cancel, &image, &facts, err) < 0)
		return err->code;
	if (mount_layer(k, image, &k->layers[k->n], err) < 0)
		return err_wrap(err, "layer %s", digest_text(&key->diff_id, text));
	k->n_layers = ++k->n;
	k->cut = facts.root_is_opaque;
	return OK;
}

/* What has a directory while it is mounted is not there for others. */
static bool is_shared(const struct making *k)
{
	return k->way != IMAGED__V1__MOUNT_WAY__MOUNT_WAY_FUSE && !mounts_probe(k->mounts)->by_name;
}

static int add_layer(struct making *k, const struct digest *diff_id, struct err *err)
{
	struct layer_key key = { *diff_id, k->way };
	struct layer_cache *cache = &k->mounts->layers;

	if (k->n == OVERLAY_LAYERS_MAX)
		return fail(err, E_LIMIT, "the image has more than %d layers, and an overlay no more than that",
			    OVERLAY_LAYERS_MAX);
	if (cancel_check(k->cancel, err) < 0)
		return err->code;
	k->layers[k->n] = is_shared(k) ? layer_cache_get(cache, &key, k->id, &k->cut) : -1;
	if (k->layers[k->n] >= 0) {
		k->n_layers = ++k->n;
		return OK;
	}
	if (make_layer(k, &key, err) < 0)
		return err->code;
	if (is_shared(k))
		layer_cache_put(cache, &key, k->id, k->layers[k->n - 1], k->cut);
	return OK;
}

static int add_layers(struct making *k, struct err *err)
{
	const struct mount_request *q = k->request;
	int r = OK;

	for (size_t i = q->n_layers; r == OK && i-- > 0 && !k->cut;)
		if (!comes_again(q, i))
			r = add_layer(k, &q->diff_ids[i], err);
	return r;
}

/* An overlay needs two directories at least. */
static int add_empty(struct making *k, struct err *err)
{
	int fd;

	while (k->n < (k->upper < 0 ? 2 : 1)) {
		const char *name = k->n ? "empty" : "empty2";

		if (mkdirat(k->mounts->directory, name, 0755) < 0 && errno != EEXIST)
			return fail_errno(err, "make an empty directory");
		fd = openat(k->mounts->directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0)
			return fail_errno(err, "open an empty directory");
		k->layers[k->n++] = fd;
	}
	return OK;
}

/* ---- what is written ---------------------------------------------------------------- */

static int make_directory(int parent, const char *name, int *ret_fd, struct err *err)
{
	if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
		return fail_errno(err, "make directory '%s' for what is written", name);
	*ret_fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *ret_fd < 0 ? fail_errno(err, "open directory '%s' for what is written", name) : OK;
}

/* The root directory that is seen is the upper one: it gets what the topmost layer says. */
static int dress_root(struct making *k, struct err *err)
{
	struct stat st = { .st_mode = 0755 };

	if (k->n && fstat(k->layers[0], &st) < 0)
		return fail_errno(err, "the root directory of the topmost layer");
	/* Who may not give files away is not asked for more by fuse-overlayfs either. */
	if (fchown(k->upper, st.st_uid, st.st_gid) < 0 && errno != EPERM)
		return fail_errno(err, "owner of the root directory");
	if (fchmod(k->upper, st.st_mode & 07777) < 0)
		return fail_errno(err, "mode of the root directory");
	return OK;
}

static int add_upper(struct making *k, struct err *err)
{
	CLEANUP(closep) int own = -1;
	char name[MOUNT_ID_TEXT_MAX];

	if (make_directory(k->mounts->directory, mount_id_text(k->id, name), &own, err) < 0 ||
	    make_directory(own, "upper", &k->upper, err) < 0 || make_directory(own, "work", &k->work, err) < 0)
		return err->code;
	return dress_root(k, err);
}

/* ---- all of it ------------------------------------------------------------------------ */

static int attach(int mount, int target, struct err *err)
{
	if (move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0)
		return OK;
	if (errno == ENOENT)
		return fail(err, E_NOT_FOUND, "the directory was removed meanwhile");
	return fail_errno(err, "move the mount to its directory");
}

static int mount_by_kernel(struct making *k, const struct target *target, struct err *err)
{
	CLEANUP(closep) int mount = -1;
	char source[MOUNT_SOURCE_MAX];
	struct overlay o = { .source = mount_source(k->id, source),
			     .layers = k->layers,
			     .n_layers = k->n,
			     .upper = k->upper,
			     .work = k->work,
			     .devices = k->request->allow_devices,
			     .setuid = k->request->allow_setuid };

	if (overlay_make(&o, &mount, err) < 0 || cancel_check(k->cancel, err) < 0)
		return err->code;
	return attach(mount, target->fd, err);
}

/* By names, as the program opens all of it itself. */
static int mount_by_fuse(struct making *k, const struct target *target, struct err *err)
{
	CLEANUP(arena_free) struct arena arena;
	const char **layers;
	struct fuse_overlay o = { .devices = k->request->allow_devices,
				  .setuid = k->request->allow_setuid,
				  .target = target->path };

	arena_init(&arena, PATHS_ARENA_MAX);
	layers = arena_array(&arena, k->n + 1, sizeof *layers);
	if (!layers)
		return fail_nomem(err);
	for (size_t i = 0; i < k->stage.n; i++)
		layers[o.n_layers++] = arena_printf(&arena, "%s/%zu", k->stage.path, i);
	if (!o.n_layers)
		layers[o.n_layers++] = arena_printf(&arena, "%s/../empty", k->path);
	for (size_t i = 0; i < o.n_layers; i++)
		if (!layers[i])
			return fail_nomem(err);
	o.layers = layers;
	if (k->upper >= 0) {
		o.upper = arena_printf(&arena, "%s/upper", k->path);
		o.work = arena_printf(&arena, "%s/work", k->path);
		if (!o.upper || !o.work)
			return fail_nomem(err);
	}
	return fuse_mount_overlay(&o, err);
}

/* "0:1:…", and the empty directories: names in the stage. */
static bool name_layers(const struct making *k, struct buf *names)
{
	static const char *const empty[] = { "../../empty2", "../../empty" };

	for (size_t i = 0; i < k->n; i++) {
		buf_puts(names, i ? ":" : "");
		if (i < k->stage.n)
			buf_printf(names, "%zu", i);
		else
			buf_puts(names, empty[i != 0]);
	}
	return buf_ok(names);
}

static int mount_by_name(struct making *k, const struct target *target, struct err *err)
{
	CLEANUP(closep) int directory = -1;
	CLEANUP(buf_free) struct buf names = BUF_INIT(NAMES_MAX);
	char source[MOUNT_SOURCE_MAX];
	struct overlay_named o = { .source = mount_source(k->id, source),
				   .devices = k->request->allow_devices,
				   .setuid = k->request->allow_setuid,
				   .target = target->fd };

	while (k->stage.n < k->n_layers)
		if (stage_place(&k->stage, k->layers[k->stage.n], err) < 0)
			return err->code;
	directory = open(k->stage.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return fail_errno(err, "open '%s'", k->stage.path);
	if (!name_layers(k, &names))
		return fail_nomem(err);
	o.directory = directory;
	o.names = buf_text(&names);
	o.upper = k->upper < 0 ? NULL : "../upper";
	o.work = k->upper < 0 ? NULL : "../work";
	return overlay_mount_named(&o, err);
}

static int open_stage(struct making *k, struct err *err)
{
	if (k->way != IMAGED__V1__MOUNT_WAY__MOUNT_WAY_FUSE && !mounts_probe(k->mounts)->by_name)
		return OK;
	return stage_open(&k->stage, k->path, err);
}

static int mount_all(struct making *k, const struct target *target, struct err *err)
{
	const struct probe *p = mounts_probe(k->mounts);

	if (k->way == IMAGED__V1__MOUNT_WAY__MOUNT_WAY_FUSE && p->fuse_overlay)
		return mount_by_fuse(k, target, err);
	return p->by_name ? mount_by_name(k, target, err) : mount_by_kernel(k, target, err);
}

int mounts_make(struct mounts *m, const struct mount_id *id, const struct mount_request *request,
		Imaged__V1__MountWay way, const struct target *target, struct cancel *cancel, struct err *err)
{
	CLEANUP(making_release)
	struct making k = { .mounts = m,
			    .id = id,
			    .request = request,
			    .way = way,
			    .cancel = cancel,
			    .upper = -1,
			    .work = -1,
			    .path = mounts_path(m, id),
			    .stage = STAGE_INIT };

	if (!k.path)
		return fail_nomem(err);
	if (open_stage(&k, err) < 0 || add_layers(&k, err) < 0 || (request->read_write && add_upper(&k, err) < 0) ||
	    add_empty(&k, err) < 0)
		return err->code;
	return mount_all(&k, target, err);
}
