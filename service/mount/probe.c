#include "service/mount/probe.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "service/mount/layer_way.h"
#include "service/mount/overlay.h"
#include "service/mount/probe_image.h"

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

static int try_kernel_way(mount_layer *mount, int directory, int image, struct err *err)
{
	CLEANUP(closep) int layer = -1;
	CLEANUP(closep) int root = -1;
	int layers[2];
	struct overlay o = { .source = "imaged:probe", .layers = layers, .n_layers = 2, .upper = -1, .work = -1 };

	if (mount(image, &layer, err) < 0)
		return err->code;
	layers[0] = layer;
	layers[1] = directory;
	return overlay_make(&o, &root, err);
}

static void note_problem(struct probe *p, Imaged__V1__MountWay way, const struct err *err)
{
	enum { SHARE = PROBE_PROBLEM_MAX / 3 }; /* one for each way */
	size_t used = strlen(p->problem);

	if (used < 2 * SHARE + 1)
		snprintf(p->problem + used, SHARE, "%s%s: %.*s", used ? "; " : "", way_name(way), SHARE / 2, err->text);
}

void probe_ways(int directory, struct probe *ret_probe)
{
	CLEANUP(closep) int image = -1;
	struct probe p = { .n_ways = 0 };
	struct err err = ERR_INIT;

	if (make_image(directory, &image, &err) < 0) {
		snprintf(p.problem, sizeof p.problem, "%.*s", PROBE_PROBLEM_MAX - 1, err.text);
		*ret_probe = p;
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(kernel_ways); i++) {
		if (try_kernel_way(kernel_ways[i].mount, directory, image, &err) == OK)
			p.ways[p.n_ways++] = kernel_ways[i].way;
		else
			note_problem(&p, kernel_ways[i].way, &err);
	}
	*ret_probe = p;
}
