#include "service/build/solve/foreign.h"

#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>

enum { ENTRY_MAX = 4096, ELF_MACHINE_AT = 18 };

static const char place[] = "/proc/sys/fs/binfmt_misc";

struct machine {
	const char *architecture;
	unsigned number;
	const char *host; /* whose processors run it, too */
};

static const struct machine machines[] = {
	{ "386", EM_386, "amd64" },    { "amd64", EM_X86_64, NULL },  { "arm", EM_ARM, "arm64" },
	{ "arm64", EM_AARCH64, NULL }, { "loong64", 258, NULL },      { "mips64le", EM_MIPS, NULL },
	{ "ppc64le", EM_PPC64, NULL }, { "riscv64", EM_RISCV, NULL }, { "s390x", EM_S390, NULL },
};

/* ---- an entry ---------------------------------------------------------------------- */

static const char *value_of(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	while (at && at != text && at[-1] != '\n')
		at = strstr(at + 1, name);
	return at ? at + strlen(name) : NULL;
}

static int hex_byte(const char *magic, size_t at)
{
	unsigned value;

	if (strlen(magic) < 2 * (at + 1) || sscanf(magic + 2 * at, "%2x", &value) != 1)
		return -1;
	return (int)value;
}

bool foreign_entry_serves(const char *text, unsigned machine)
{
	const char *flags = value_of(text, "flags:"), *magic = value_of(text, "magic ");
	size_t flags_len = flags ? strcspn(flags, "\n") : 0;
	int low, high;

	if (strncmp(text, "enabled\n", strlen("enabled\n")) != 0 || !magic || !flags || !memchr(flags, 'F', flags_len))
		return false;
	low = hex_byte(magic, ELF_MACHINE_AT);
	high = hex_byte(magic, ELF_MACHINE_AT + 1);
	/* The order of the bytes is the file's. */
	return low >= 0 && high >= 0 &&
	       ((unsigned)(low | high << 8) == machine || (unsigned)(high | low << 8) == machine);
}

/* ---- all of them -------------------------------------------------------------------- */

static bool file_serves(int dir, const char *name, unsigned machine)
{
	CLEANUP(closep) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	char text[ENTRY_MAX];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	if (n < 0)
		return false;
	text[n] = 0;
	return foreign_entry_serves(text, machine);
}

static bool is_emulated(unsigned machine)
{
	DIR *dir = opendir(place);
	struct dirent *e;
	bool found = false;

	while (dir && !found && (e = readdir(dir)))
		found = e->d_name[0] != '.' && strcmp(e->d_name, "register") != 0 && strcmp(e->d_name, "status") != 0 &&
			file_serves(dirfd(dir), e->d_name, machine);
	if (dir)
		closedir(dir);
	return found;
}

static const struct machine *machine_of(const char *architecture)
{
	for (size_t i = 0; i < ARRAY_LEN(machines); i++)
		if (!strcmp(machines[i].architecture, architecture))
			return &machines[i];
	return NULL;
}

int foreign_check(const struct platform *p, struct err *err)
{
	struct platform host = platform_host();
	char wanted[PLATFORM_TEXT_MAX], here[PLATFORM_TEXT_MAX];
	const struct machine *m = machine_of(p->architecture);

	if (strcmp(p->os, host.os) != 0)
		return fail(err, E_UNSUPPORTED, "RUN for %s: this machine runs programs of %s only",
			    platform_text(p, wanted), platform_text(&host, here));
	if (!strcmp(p->architecture, host.architecture) || (m && m->host && !strcmp(m->host, host.architecture)) ||
	    (m && is_emulated(m->number)))
		return OK;
	return fail(
		err, E_UNSUPPORTED,
		"RUN for %s: this machine is %s and has no emulator for it (none in %s for all root file systems, flag "
		"F): install qemu-user-static, or build on such a machine",
		platform_text(p, wanted), platform_text(&host, here), place);
}
