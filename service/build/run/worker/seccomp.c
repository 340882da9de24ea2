#include "service/build/run/worker/seccomp.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

enum { VSOCK = 40 };

/* Namespaces, by flags of clone(2). */
static const int64_t namespace_flags = INT64_C(0x7e020000);

/* What personality(2) may be given: Linux, Linux32, each also with UNAME26; and the question. */
static const int64_t personalities[] = { 0x0, 0x8, 0x20000, 0x20008, 0xffffffff };

static bool add(json_t *array, json_t *value)
{
	return json_array_append_new(array, value) == 0;
}

static json_t *names_of(const char *const *names)
{
	json_t *array = json_array();

	for (; array && *names; names++)
		if (!add(array, json_string(*names))) {
			json_decref(array);
			return NULL;
		}
	return array;
}

/* Of these names; `number` is the errno, 0 where they are allowed. */
static json_t *rule(const char *const *names, int number)
{
	if (!number)
		return json_pack("{s:o, s:s}", "names", names_of(names), "action", "SCMP_ACT_ALLOW");
	return json_pack("{s:o, s:s, s:i}", "names", names_of(names), "action", "SCMP_ACT_ERRNO", "errnoRet", number);
}

/* Allowed when the first argument is so. */
static json_t *rule_argument(const char *name, const char *op, int64_t value, int64_t second)
{
	return json_pack("{s:[s], s:s, s:[{s:i, s:I, s:I, s:s}]}", "names", name, "action", "SCMP_ACT_ALLOW", "args",
			 "index", 0, "value", (json_int_t)value, "valueTwo", (json_int_t)second, "op", op);
}

static bool add_personalities(json_t *rules)
{
	for (size_t i = 0; i < sizeof personalities / sizeof personalities[0]; i++)
		if (!add(rules, rule_argument("personality", "SCMP_CMP_EQ", personalities[i], 0)))
			return false;
	return true;
}

static bool add_rules(json_t *rules)
{
	/* Its flags are in memory, where no filter sees them; libraries then call clone. */
	static const char *const unseen[] = { "clone3", NULL };

	return rules && add(rules, rule(seccomp_allowed, 0)) && add(rules, rule(seccomp_refused, EPERM)) &&
	       add(rules, rule(unseen, ENOSYS)) &&
	       add(rules, rule_argument("clone", "SCMP_CMP_MASKED_EQ", namespace_flags, 0)) &&
	       add(rules, rule_argument("socket", "SCMP_CMP_NE", VSOCK, 0)) && add_personalities(rules);
}

/* Programs of the other ABIs of one processor come under the same rules. */
static json_t *architectures(void)
{
#if defined(__x86_64__)
	return json_pack("[s, s, s]", "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32");
#elif defined(__aarch64__)
	return json_pack("[s, s]", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM");
#else
	return json_array(); /* the machine's own */
#endif
}

json_t *seccomp_profile(void)
{
	json_t *rules = json_array();

	if (!add_rules(rules)) {
		json_decref(rules);
		return NULL;
	}
	return json_pack("{s:s, s:i, s:o, s:o}", "defaultAction", "SCMP_ACT_ERRNO", "defaultErrnoRet", ENOSYS,
			 "architectures", architectures(), "syscalls", rules);
}
