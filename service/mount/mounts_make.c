/*
 * From the images of layers to a file system at a directory.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "service/mount/kernel_fs.h"
#include "service/mount/layer_way.h"
#include "service/mount/mounts_internal.h"
#include "service/mount/overlay.h"

struct making {
	struct mounts *mounts;
	const struct mount_request *request;
	Imaged__V1__MountWay way;
	struct cancel *cancel;
	int layers[OVERLAY_LAYERS_MAX + 1]; /* the topmost first, and an empty directory */
	size_t n;
	bool cut; /* the last one hides all below */
	int upper, work;
};

static void making_release(struct making *k)
{
	for (size_t i = 0; i < k->n; i++)
		close(k->layers[i]);
	closep(&k->upper);
	closep(&k->work);
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

static int mount_layer(Imaged__V1__MountWay way, int image, int *ret_mount, struct err *err)
{
	return way == IMAGED__V1__MOUNT_WAY__MOUNT_WAY_LOOP ? layer_mount_loop(image, ret_mount, err)
							    : layer_mount_file(image, ret_mount, err);
}

static int add_layer(struct making *k, const struct digest *diff_id, struct err *err)
{
	CLEANUP(closep) int image = -1;
	struct layer_image_facts facts;
	char text[DIGEST_TEXT_MAX];

	if (k->n == OVERLAY_LAYERS_MAX)
		return fail(err, E_LIMIT, "the image has more than %d layers, and an overlay no more than that",
			    OVERLAY_LAYERS_MAX);
	if (cancel_check(k->cancel, err) < 0 ||
	    k->request->open_layer(k->request->arg, diff_id, k->cancel, &image, &facts, err) < 0)
		return err->code;
	if (mount_layer(k->way, image, &k->layers[k->n], err) < 0)
		return err_wrap(err, "layer %s", digest_text(diff_id, text));
	k->n++;
	k->cut = facts.root_is_opaque;
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

	while (k->n < 2 && k->upper < 0) {
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
	if (mkdirat(parent, name, 0700) < 0)
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
	if (fchown(k->upper, st.st_uid, st.st_gid) < 0 || fchmod(k->upper, st.st_mode & 07777) < 0)
		return fail_errno(err, "owner and mode of the root directory");
	return OK;
}

static int add_upper(struct making *k, const struct mount_id *id, struct err *err)
{
	CLEANUP(closep) int own = -1;
	char name[MOUNT_ID_TEXT_MAX];

	if (make_directory(k->mounts->directory, mount_id_text(id, name), &own, err) < 0 ||
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

int mounts_make(struct mounts *m, const struct mount_id *id, const struct mount_request *request,
		Imaged__V1__MountWay way, int target, struct cancel *cancel, struct err *err)
{
	CLEANUP(making_release)
	struct making k = { .mounts = m, .request = request, .way = way, .cancel = cancel, .upper = -1, .work = -1 };
	CLEANUP(closep) int mount = -1;
	char source[MOUNT_SOURCE_MAX];
	struct overlay o = { .source = mount_source(id, source),
			     .layers = k.layers,
			     .devices = request->allow_devices,
			     .setuid = request->allow_setuid };

	if (add_layers(&k, err) < 0 || (request->read_write && add_upper(&k, id, err) < 0) || add_empty(&k, err) < 0)
		return err->code;
	o.n_layers = k.n;
	o.upper = k.upper;
	o.work = k.work;
	if (overlay_make(&o, &mount, err) < 0 || cancel_check(cancel, err) < 0)
		return err->code;
	return attach(mount, target, err);
}
