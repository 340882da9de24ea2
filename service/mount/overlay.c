#include "service/mount/overlay.h"

#include "service/mount/kernel_fs.h"

static int add_layers(int fs, const struct overlay *o, struct err *err)
{
	int r = OK;

	for (size_t i = 0; r == OK && i < o->n_layers; i++)
		r = kernel_fs_fd(fs, "lowerdir+", o->layers[i], err);
	return r;
}

/* Without syncs: what is written goes with the mount. */
static int add_upper(int fs, const struct overlay *o, struct err *err)
{
	if (o->upper < 0)
		return kernel_fs_flag(fs, "ro", err);
	if (kernel_fs_fd(fs, "upperdir", o->upper, err) < 0 || kernel_fs_fd(fs, "workdir", o->work, err) < 0)
		return err->code;
	return kernel_fs_flag(fs, "volatile", err);
}

static unsigned attributes_of(const struct overlay *o)
{
	return (o->upper < 0 ? MOUNT_ATTR_RDONLY : 0u) | (o->devices ? 0u : MOUNT_ATTR_NODEV) |
	       (o->setuid ? 0u : MOUNT_ATTR_NOSUID);
}

/* Nothing of a layer leads to another place; and all files have one device number, as
 * they would have if one file system held all layers: numbers of inodes leave room. */
static int add_rules(int fs, struct err *err)
{
	static const char *const rules[][2] = {
		{ "redirect_dir", "nofollow" },
		{ "metacopy", "off" },
		{ "index", "off" },
		{ "xino", "on" },
	};
	int r = OK;

	for (size_t i = 0; r == OK && i < ARRAY_LEN(rules); i++)
		r = kernel_fs_text(fs, rules[i][0], rules[i][1], err);
	return r;
}

int overlay_make(const struct overlay *o, int *ret_mount, struct err *err)
{
	CLEANUP(closep) int fs = -1;

	if (kernel_fs_open("overlay", &fs, err) < 0 || kernel_fs_text(fs, "source", o->source, err) < 0 ||
	    add_layers(fs, o, err) < 0 || add_upper(fs, o, err) < 0 || add_rules(fs, err) < 0)
		return err->code;
	return kernel_fs_mount(fs, attributes_of(o), ret_mount, err);
}
