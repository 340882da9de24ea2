#include "service/build/run/worker/device_filter.h"

#include <linux/bpf.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "proto/runtime/mem.h"

enum { CHAR_MEMORY = 1, CHAR_TTY = 5, CHAR_PTS = 136 };
enum { ALLOW = 1, DENY = 0 };

/* Instructions by name (linux/bpf.h). */
#define LOAD_CONTEXT(reg, member)                                                          \
	(struct bpf_insn)                                                                  \
	{                                                                                  \
		.code = BPF_LDX | BPF_W | BPF_MEM, .dst_reg = (reg), .src_reg = BPF_REG_1, \
		.off = offsetof(struct bpf_cgroup_dev_ctx, member)                         \
	}
#define COPY(to, from)                                                                \
	(struct bpf_insn)                                                             \
	{                                                                             \
		.code = BPF_ALU | BPF_MOV | BPF_X, .dst_reg = (to), .src_reg = (from) \
	}
#define ALU(operation, reg, value)                                                      \
	(struct bpf_insn)                                                               \
	{                                                                               \
		.code = BPF_ALU | (operation) | BPF_K, .dst_reg = (reg), .imm = (value) \
	}
/* `skip` instructions are left out when the register is, or is not, the value. */
#define SKIP_IF(reg, value, skip)                                                                  \
	(struct bpf_insn)                                                                          \
	{                                                                                          \
		.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = (reg), .off = (skip), .imm = (value) \
	}
#define SKIP_UNLESS(reg, value, skip)                                                              \
	(struct bpf_insn)                                                                          \
	{                                                                                          \
		.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = (reg), .off = (skip), .imm = (value) \
	}
#define RETURN(value)                                                                                 \
	(struct bpf_insn){ .code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = (value) }, \
		(struct bpf_insn)                                                                     \
	{                                                                                             \
		.code = BPF_JMP | BPF_EXIT                                                            \
	}
enum { RETURN_INSNS = 2 };

enum { TYPE = BPF_REG_2, ACCESS = BPF_REG_3, MAJOR = BPF_REG_4, MINOR = BPF_REG_5 };

static const struct bpf_insn program[] = {
	LOAD_CONTEXT(TYPE, access_type),
	COPY(ACCESS, TYPE),
	ALU(BPF_RSH, ACCESS, 16),
	ALU(BPF_AND, TYPE, 0xffff),
	LOAD_CONTEXT(MAJOR, major),
	LOAD_CONTEXT(MINOR, minor),

	SKIP_UNLESS(ACCESS, BPF_DEVCG_ACC_MKNOD, RETURN_INSNS),
	RETURN(ALLOW),

	SKIP_IF(TYPE, BPF_DEVCG_DEV_CHAR, RETURN_INSNS),
	RETURN(DENY),

	SKIP_UNLESS(MAJOR, CHAR_PTS, RETURN_INSNS),
	RETURN(ALLOW),

	/* null, zero, full, random, urandom */
	SKIP_UNLESS(MAJOR, CHAR_MEMORY, 5 + RETURN_INSNS),
	SKIP_IF(MINOR, 3, 4),
	SKIP_IF(MINOR, 5, 3),
	SKIP_IF(MINOR, 7, 2),
	SKIP_IF(MINOR, 8, 1),
	SKIP_UNLESS(MINOR, 9, RETURN_INSNS),
	RETURN(ALLOW),

	/* tty, console, ptmx */
	SKIP_UNLESS(MAJOR, CHAR_TTY, 3 + RETURN_INSNS),
	SKIP_IF(MINOR, 0, 2),
	SKIP_IF(MINOR, 1, 1),
	SKIP_UNLESS(MINOR, 2, RETURN_INSNS),
	RETURN(ALLOW),

	RETURN(DENY),
};

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof *attr);
}

static int fail_bpf(const char *what, struct err *err)
{
	return fail(err, E_UNSUPPORTED, "devices cannot be kept from build steps: %s: %s", what,
		    strerrordesc_np(errno));
}

int device_filter_attach(int cgroup_dir, struct err *err)
{
	union bpf_attr load = { .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
				.insns = (uint64_t)(uintptr_t)program,
				.insn_cnt = ARRAY_LEN(program),
				.license = (uint64_t)(uintptr_t) "none" };
	CLEANUP(closep) int fd = bpf(BPF_PROG_LOAD, &load);
	union bpf_attr attach = { .target_fd = (uint32_t)cgroup_dir,
				  .attach_bpf_fd = (uint32_t)fd,
				  .attach_type = BPF_CGROUP_DEVICE,
				  .attach_flags = BPF_F_ALLOW_MULTI };

	if (fd < 0)
		return fail_bpf("load the filter (is CONFIG_CGROUP_BPF set?)", err);
	if (bpf(BPF_PROG_ATTACH, &attach) < 0)
		return fail_bpf("attach the filter to the cgroup", err);
	return OK;
}
