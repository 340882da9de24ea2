#include "service/mount/probe.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "service/mount/fuse.h"
#include "service/mount/layer_way.h"
#include "service/mount/overlay.h"
#include "service/mount/probe_image.h"
#include "service/mount/stage.h"

typedef int mount_layer(int image, int *ret_mount, struct err *err);

static const struct {
	Imaged__V1__MountWay way;
	mount_layer *mount;
} kernel_ways[] = {
	{ IMAGED__V1__MOUNT_WAY__MOUNT_WAY_FILE, layer_mount_file },
	{ IMAGED__V1__MOUNT_WAY__MOUNT_WAY_LOOP, layer_mount_loop },
};

const char *way_name(Imaged__V1__MountWay way)
{
	static const char *const names[] = {
		[IMAGED__V1__MOUNT_WAY__MOUNT_WAY_FILE] = "file",
		[IMAGED__V1__MOUNT_WAY__MOUNT_WAY_LOOP] = "loop",
		[IMAGED__V1__MOUNT_WAY__MOUNT_WAY_FUSE] = "fuse",
	};

	return (size_t)way < ARRAY_LEN(names) && names[way] ? names[way] : "unknown";
}

bool probe_has(const struct probe *p, Imaged__V1__MountWay way)
{
	for (size_t i = 0; i < p->n_ways; i++)
		if (p->ways[i] == way)
			return true;
	return false;
}

/* Read-only, as descriptors of layers' images are. */
static int make_image(int directory, int *ret_fd, struct err *err)
{
	CLEANUP(closep) int fd = openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char path[64];

	if (fd < 0)
		return fail_errno(err, "make a file to try mounts with");
	if (probe_image_write(fd, err) < 0)
		return err->code;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? fail_errno(err, "open a file to try mounts with") : OK;
}

/* Of a layer in a stage, and an empty directory below it. */
static int overlay_by_name(const char *own, const struct stage *stage, struct err *err)
{
	CLEANUP(freep) char *path = format("%s/m", own);
	CLEANUP(closep) int directory = open(stage->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(closep) int target = -1;
	struct overlay_named o = { .source = "imaged:probe", .directory = directory, .names = "0:../m" };
	int r;

	if (!path)
		return fail_nomem(err);
	if (directory < 0 || (mkdir(path, 0700) < 0 && errno != EEXIST))
		return fail_errno(err, "make directory '%s'", path);
	target = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (target < 0)
		return fail_errno(err, "open '%s'", path);
	o.target = target;
	r = overlay_mount_named(&o, err);
	if (r == OK)
		r = unmount_at(path, true, err);
	rmdir(path);
	return r;
}

static int try_named(int layer, const char *own, struct err *err)
{
	CLEANUP(stage_close) struct stage stage = STAGE_INIT;

	stage_clear(own); /* of a run that was killed just then */
	if (stage_open(&stage, own, err) < 0 || stage_place(&stage, layer, err) < 0)
		return err->code;
	return overlay_by_name(own, &stage, err);
}

/* By descriptors, else by names. */
static int try_kernel_way(mount_layer *mount, int directory, const char *own, int image, bool *by_name, struct err *err)
{
	CLEANUP(closep) int layer = -1;
	CLEANUP(closep) int root = -1;
	int layers[2];
	struct overlay o = { .source = "imaged:probe", .layers = layers, .n_layers = 2, .upper = -1, .work = -1 };

	if (mount(image, &layer, err) < 0)
		return err->code;
	layers[0] = layer;
	layers[1] = directory;
	if (!*by_name && overlay_make(&o, &root, err) == OK)
		return OK;
	if (try_named(layer, own, err) < 0)
		return err->code;
	*by_name = true;
	return OK;
}

static int overlay_by_fuse(const char *own, const char *layer, struct err *err)
{
	CLEANUP(freep) char *target = format("%s/m", own);
	struct fuse_overlay o = { .layers = &layer, .n_layers = 1, .target = target };
	int r;

	if (!target)
		return fail_nomem(err);
	if (mkdir(target, 0700) < 0 && errno != EEXIST)
		return fail_errno(err, "make directory '%s'", target);
	r = fuse_mount_overlay(&o, err);
	unmount_at(target, true, NULL);
	rmdir(target);
	return r;
}

/* By the kernel's overlay, else by fuse-overlayfs; *ret_fuse tells. */
static int overlay_over_fuse(const char *own, const char *layer, int directory, bool *ret_fuse, struct err *err)
{
	CLEANUP(closep) int fd = open(layer, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(closep) int root = -1;
	int layers[2] = { fd, directory };
	struct overlay o = { .source = "imaged:probe", .layers = layers, .n_layers = 2, .upper = -1, .work = -1 };

	if (fd < 0)
		return fail_errno(err, "open '%s'", layer);
	*ret_fuse = overlay_make(&o, &root, err) < 0;
	return *ret_fuse ? overlay_by_fuse(own, layer, err) : OK;
}

static int try_fuse(int directory, const char *own, int image, struct probe *p, struct err *err)
{
	CLEANUP(stage_close) struct stage stage = STAGE_INIT;
	CLEANUP(freep) char *layer = NULL;
	int r;

	stage_clear(own);
	r = stage_open(&stage, own, err);
	if (r == OK)
		r = stage_next(&stage, &layer, err);
	if (r == OK)
		r = fuse_mount_layer(image, layer, err);
	if (r == OK)
		r = p->by_name && overlay_by_name(own, &stage, err) == OK
			    ? OK
			    : overlay_over_fuse(own, layer, directory, &p->fuse_overlay, err);
	return r;
}

static void note_problem(struct probe *p, Imaged__V1__MountWay way, const struct err *err)
{
	enum { SHARE = PROBE_PROBLEM_MAX / 3 }; /* one for each way */
	size_t used = strlen(p->problem);

	if (used < 2 * SHARE + 1)
		snprintf(p->problem + used, SHARE, "%s%s: %.*s", used ? "; " : "", way_name(way), SHARE / 2, err->text);
}

static void note(struct probe *p, Imaged__V1__MountWay way, int r, const struct err *err)
{
	if (r == OK)
		p->ways[p->n_ways++] = way;
	else
		note_problem(p, way, err);
}

static void try_all(struct probe *p, int directory, const char *own, int image)
{
	struct err err = ERR_INIT;
	int r;

	for (size_t i = 0; i < ARRAY_LEN(kernel_ways); i++) {
		r = try_kernel_way(kernel_ways[i].mount, directory, own, image, &p->by_name, &err);
		note(p, kernel_ways[i].way, r, &err);
	}
	r = try_fuse(directory, own, image, p, &err);
	note(p, IMAGED__V1__MOUNT_WAY__MOUNT_WAY_FUSE, r, &err);
	rmdir(own);
}

void probe_ways(int directory, const char *path, struct probe *ret_probe)
{
	CLEANUP(freep) char *own = format("%s/probe", path);
	CLEANUP(closep) int image = -1;
	struct probe p = { .n_ways = 0 };
	struct err err = ERR_INIT;

	if (!own)
		fail_nomem(&err);
	if (own && make_image(directory, &image, &err) == OK)
		try_all(&p, directory, own, image);
	else
		snprintf(p.problem, sizeof p.problem, "%.*s", PROBE_PROBLEM_MAX - 1, err.text);
	*ret_probe = p;
}
