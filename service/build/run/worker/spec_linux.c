/* Namespaces, what of /proc and /sys is hidden, system calls. */
#include "service/build/run/worker/seccomp.h"
#include "service/build/run/worker/spec.h"

static json_t *namespaces(const struct spec_input *in)
{
	json_t *array = json_pack("[{s:s}, {s:s}, {s:s}, {s:s}]", "type", "pid", "type", "ipc", "type", "uts", "type",
				  "mount");

	if (array && !in->step->host_network &&
	    json_array_append_new(array, json_pack("{s:s}", "type", "network")) < 0) {
		json_decref(array);
		return NULL;
	}
	return array;
}

static json_t *masked(bool insecure)
{
	if (insecure)
		return json_array();
	return json_pack("[s, s, s, s, s, s, s, s, s, s, s]", "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys",
			 "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
			 "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap");
}

static json_t *read_only(bool insecure)
{
	if (insecure)
		return json_array();
	return json_pack("[s, s, s, s, s]", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger");
}

/* For a runtime that makes cgroups of its own: below ours, whose limits hold there too. */
static bool add_cgroup(json_t *linux_part, const struct spec_input *in)
{
	return !in->cgroup ||
	       (!json_object_set_new(linux_part, "cgroupsPath", json_sprintf("/%s/%s", in->cgroup, in->id)) &&
		!json_object_set_new(linux_part, "resources",
				     json_pack("{s:[{s:b, s:s}]}", "devices", "allow", in->step->insecure ? 1 : 0,
					       "access", "rwm")));
}

json_t *spec_linux(const struct spec_input *in)
{
	json_t *part = json_pack("{s:o, s:o, s:o}", "namespaces", namespaces(in), "maskedPaths",
				 masked(in->step->insecure), "readonlyPaths", read_only(in->step->insecure));
	bool ok = part && add_cgroup(part, in);

	if (ok && !in->step->insecure)
		ok = !json_object_set_new(part, "seccomp", seccomp_profile());
	else if (ok && in->is_root)
		ok = !json_object_set_new(part, "devices", spec_devices());
	if (ok)
		return part;
	json_decref(part);
	return NULL;
}
