#include "service/build/run/worker/runtime_program.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "proto/runtime/mem.h"

/* A script would be looked for once more, by its interpreter, when its mount is nowhere. */
static bool is_binary(const char *program)
{
	CLEANUP(closep) int fd = open(program, O_RDONLY | O_CLOEXEC);
	char magic[4];

	return fd >= 0 && read(fd, magic, sizeof magic) == sizeof magic &&
	       !memcmp(magic,
		       "\x7f"
		       "ELF",
		       sizeof magic);
}

static bool make_place(void)
{
	CLEANUP(closep) int fd = -1;

	if (mkdir("bin", 0755) < 0)
		return false;
	fd = open(RUNTIME_PROGRAM, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd >= 0;
}

bool runtime_program_mount(const char *program)
{
	struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
	CLEANUP(closep)
	int tree = is_binary(program) ? open_tree(AT_FDCWD, program, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC) : -1;

	return tree >= 0 && !mount_setattr(tree, "", AT_EMPTY_PATH, &read_only, sizeof read_only) && make_place() &&
	       !move_mount(tree, "", AT_FDCWD, RUNTIME_PROGRAM, MOVE_MOUNT_F_EMPTY_PATH);
}

void runtime_program_unmount(void)
{
	umount2(RUNTIME_PROGRAM, MNT_DETACH);
}
