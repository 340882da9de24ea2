/* The file systems that every step has, and those of RUN --mount. */
#include <inttypes.h>

#include "service/build/run/worker/spec.h"

enum { OPTIONS_MAX = 8 };

static const uint64_t shm_default = UINT64_C(64) << 20;

static bool add(json_t *mounts, json_t *destination, const char *type, json_t *source, const char *const *options)
{
	json_t *list = json_array();

	for (; list && *options; options++)
		if (json_array_append_new(list, json_string(*options)) < 0)
			break;
	return !json_array_append_new(mounts, json_pack("{s:o, s:s, s:o, s:o}", "destination", destination, "type",
							type, "source", source, "options", list));
}

static bool add_fixed(json_t *mounts, const char *destination, const char *type, const char *source,
		      const char *const *options)
{
	return add(mounts, json_string(destination), type, json_string(source), options);
}

/* ---- what every step has ------------------------------------------------------------- */

static bool add_dev(json_t *mounts, const struct spec_input *in)
{
	static const char *const dev[] = { "nosuid", "strictatime", "mode=755", "size=65536k", NULL };
	static const char *const pts[] = { "nosuid",	"noexec", "newinstance", "ptmxmode=0666",
					   "mode=0620", "gid=5",  NULL };
	static const char *const pts_user[] = { "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", NULL };
	static const char *const mqueue[] = { "nosuid", "noexec", "nodev", NULL };
	uint64_t bytes = in->step->limits && in->step->limits->shm_size ? in->step->limits->shm_size : shm_default;
	char size[32];
	const char *const shm[] = { "nosuid", "noexec", "nodev", "mode=1777", size, NULL };

	snprintf(size, sizeof size, "size=%" PRIu64, bytes);
	return add_fixed(mounts, "/dev", "tmpfs", "tmpfs", dev) &&
	       add_fixed(mounts, "/dev/pts", "devpts", "devpts", in->is_root ? pts : pts_user) &&
	       add_fixed(mounts, "/dev/shm", "tmpfs", "shm", shm) &&
	       (!in->is_root || add_fixed(mounts, "/dev/mqueue", "mqueue", "mqueue", mqueue));
}

/* A user namespace may mount sysfs only with a network of its own: else the host's is bound. */
static bool add_sys(json_t *mounts, const struct spec_input *in)
{
	static const char *const ro[] = { "nosuid", "noexec", "nodev", "ro", NULL };
	static const char *const rw[] = { "nosuid", "noexec", "nodev", "rw", NULL };
	static const char *const bound[] = { "rbind", "nosuid", "noexec", "nodev", "ro", NULL };
	const char *const *options = in->step->insecure ? rw : ro;

	if (!in->is_root && in->step->host_network)
		return add_fixed(mounts, "/sys", "bind", "/sys", bound);
	return add_fixed(mounts, "/sys", "sysfs", "sysfs", options) &&
	       (!in->is_root || add_fixed(mounts, "/sys/fs/cgroup", "cgroup", "cgroup", options));
}

static bool add_net_file(json_t *mounts, const struct spec_input *in, const char *destination, const char *name)
{
	static const char *const options[] = { "bind", "ro", "nosuid", "nodev", "noexec", NULL };

	return add(mounts, json_string(destination), "bind", json_sprintf("%s/files/%s", in->workspace, name), options);
}

static bool add_usual(json_t *mounts, const struct spec_input *in)
{
	static const char *const proc[] = { "nosuid", "noexec", "nodev", NULL };

	return add_fixed(mounts, "/proc", "proc", "proc", proc) && add_dev(mounts, in) && add_sys(mounts, in) &&
	       (!in->has_resolv || add_net_file(mounts, in, "/etc/resolv.conf", "resolv.conf")) &&
	       (!in->has_hosts || add_net_file(mounts, in, "/etc/hosts", "hosts"));
}

/* ---- RUN --mount ------------------------------------------------------------------------ */

static bool add_tmpfs(json_t *mounts, const Imaged__Run__RunMount *m)
{
	char size[32];
	const char *const options[] = { "nosuid", "mode=1777", m->size ? size : NULL, NULL };

	snprintf(size, sizeof size, "size=%" PRIu64, m->size);
	return add(mounts, spec_string(m->target), "tmpfs", json_string("tmpfs"), options);
}

static bool add_bind(json_t *mounts, const struct spec_input *in, size_t number, const char *const *options)
{
	return add(mounts, spec_string(in->step->mounts[number]->target), "bind",
		   json_sprintf("%s/files/%zu", in->workspace, number), options);
}

static bool add_mount(json_t *mounts, const struct spec_input *in, size_t number)
{
	static const char *const rw[] = { "rbind", "rw", "nodev", NULL };
	static const char *const ro[] = { "rbind", "ro", "nodev", NULL };
	static const char *const file[] = { "bind", "ro", "nosuid", "nodev", NULL };
	const Imaged__Run__RunMount *m = in->step->mounts[number];

	switch (m->kind) {
	case IMAGED__RUN__RUN_MOUNT_KIND__RUN_MOUNT_TMPFS:
		return add_tmpfs(mounts, m);
	case IMAGED__RUN__RUN_MOUNT_KIND__RUN_MOUNT_FILE:
		return add_bind(mounts, in, number, file);
	case IMAGED__RUN__RUN_MOUNT_KIND__RUN_MOUNT_SOCKET:
		return add_bind(mounts, in, number, rw);
	default:
		return add_bind(mounts, in, number, m->writable ? rw : ro);
	}
}

static size_t depth(ProtobufCBinaryData path)
{
	size_t n = 0;

	for (size_t i = 0; i < path.len; i++)
		n += path.data[i] == '/' && i + 1 < path.len;
	return n;
}

/* Those nearer to the root first: a mount must not hide one that is below it. */
static bool add_asked(json_t *mounts, const struct spec_input *in)
{
	size_t done = 0;

	for (size_t level = 0; done < in->step->n_mounts; level++)
		for (size_t i = 0; i < in->step->n_mounts; i++) {
			if (depth(in->step->mounts[i]->target) != level)
				continue;
			if (!add_mount(mounts, in, i))
				return false;
			done++;
		}
	return true;
}

/* What is asked for at the place of a usual one takes that place: only it is mounted. */
static void drop_replaced(json_t *mounts, const struct spec_input *in)
{
	for (size_t k = json_array_size(mounts); k-- > 0;) {
		const char *usual = json_string_value(json_object_get(json_array_get(mounts, k), "destination"));

		for (size_t i = 0; i < in->step->n_mounts; i++) {
			ProtobufCBinaryData target = in->step->mounts[i]->target;

			if (strlen(usual) == target.len && !memcmp(usual, target.data, target.len)) {
				json_array_remove(mounts, k);
				break;
			}
		}
	}
}

json_t *spec_mounts(const struct spec_input *in)
{
	json_t *mounts = json_array();

	if (mounts && add_usual(mounts, in)) {
		drop_replaced(mounts, in);
		if (add_asked(mounts, in))
			return mounts;
	}
	json_decref(mounts);
	return NULL;
}
