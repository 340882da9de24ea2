#include "service/build/run/seccomp_filter.h"

#include <pthread.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "proto/runtime/base64.h"
#include "service/build/run/seccomp_rules.h"

enum { TEXT_MAX = 1 << 20 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char *filter;

/* Of a name that this library does not know nothing is said: the default is ENOSYS. */
static bool add(scmp_filter_ctx context, uint32_t action, const char *name)
{
	int number = seccomp_syscall_resolve_name(name);

	return number == __NR_SCMP_ERROR || seccomp_rule_add(context, action, number, 0) == 0;
}

static bool add_all(scmp_filter_ctx context, uint32_t action, const char *const *names)
{
	for (; *names; names++)
		if (!add(context, action, *names))
			return false;
	return true;
}

static bool add_conditional(scmp_filter_ctx context, const struct seccomp_rule *r)
{
	static const enum scmp_compare ops[] = {
		[SECCOMP_EQUAL] = SCMP_CMP_EQ,
		[SECCOMP_NOT_EQUAL] = SCMP_CMP_NE,
		[SECCOMP_NO_BITS_OF] = SCMP_CMP_MASKED_EQ,
	};
	const struct scmp_arg_cmp test = { .arg = 0, .op = ops[r->test], .datum_a = r->value };

	return seccomp_rule_add_array(context, SCMP_ACT_ALLOW, seccomp_syscall_resolve_name(r->name), 1, &test) == 0;
}

static bool add_architectures(scmp_filter_ctx context)
{
#if defined(__x86_64__)
	return !seccomp_arch_add(context, SCMP_ARCH_X86) && !seccomp_arch_add(context, SCMP_ARCH_X32);
#elif defined(__aarch64__)
	return !seccomp_arch_add(context, SCMP_ARCH_ARM);
#else
	return context;
#endif
}

static bool add_rules(scmp_filter_ctx context)
{
	if (!add_architectures(context) || !add_all(context, SCMP_ACT_ALLOW, seccomp_allowed) ||
	    !add_all(context, SCMP_ACT_ERRNO(EPERM), seccomp_refused))
		return false;
	for (size_t i = 0; i < seccomp_conditional_n; i++)
		if (!add_conditional(context, &seccomp_conditional[i]))
			return false;
	return true;
}

/* The library writes to a descriptor only. */
static char *export(scmp_filter_ctx context)
{
	CLEANUP(closep) int fd = memfd_create("seccomp", MFD_CLOEXEC);
	CLEANUP(freep) uint8_t *program = NULL;
	CLEANUP(buf_free) struct buf text = BUF_INIT(TEXT_MAX);
	struct stat st;

	if (fd < 0 || seccomp_export_bpf(context, fd) < 0 || fstat(fd, &st) < 0 || st.st_size <= 0)
		return NULL;
	program = malloc((size_t)st.st_size);
	if (!program || pread(fd, program, (size_t)st.st_size, 0) != st.st_size)
		return NULL;
	return base64_encode(&text, program, (size_t)st.st_size) ? buf_take(&text) : NULL;
}

static void compile(void)
{
	scmp_filter_ctx context = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));

	if (context && add_rules(context))
		filter = export(context);
	seccomp_release(context);
}

const char *seccomp_filter(void)
{
	pthread_once(&once, compile);
	return filter;
}
