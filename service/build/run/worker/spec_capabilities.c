#include <linux/capability.h>
#include <stdio.h>

#include "service/build/run/worker/spec.h"

/* docker's: mask a80425fb. */
static const char *const usual[] = {
	"CAP_AUDIT_WRITE", "CAP_CHOWN",	  "CAP_DAC_OVERRIDE",	  "CAP_FOWNER",	    "CAP_FSETID",
	"CAP_KILL",	   "CAP_MKNOD",	  "CAP_NET_BIND_SERVICE", "CAP_NET_RAW",    "CAP_SETFCAP",
	"CAP_SETGID",	   "CAP_SETPCAP", "CAP_SETUID",		  "CAP_SYS_CHROOT",
};

/* By number (linux/capability.h). */
static const char *const all[] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

/* Those that this kernel knows. */
static size_t known(void)
{
	FILE *file = fopen("/proc/sys/kernel/cap_last_cap", "re");
	char text[16] = "";
	size_t n = ARRAY_LEN(all);

	if (file && fgets(text, sizeof text, file))
		n = (size_t)strtoul(text, NULL, 10) + 1;
	if (file)
		fclose(file);
	return n < ARRAY_LEN(all) ? n : ARRAY_LEN(all);
}

static json_t *list(const char *const *names, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < n; i++)
		if (json_array_append_new(array, json_string(names[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

/* Neither inheritable nor ambient: a USER that is not root has none. */
json_t *spec_capabilities(bool insecure)
{
	const char *const *names = insecure ? all : usual;
	size_t n = insecure ? known() : ARRAY_LEN(usual);

	return json_pack("{s:o, s:o, s:o}", "bounding", list(names, n), "effective", list(names, n), "permitted",
			 list(names, n));
}
