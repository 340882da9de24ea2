#include "service/build/run/worker/seccomp.h"

#include <errno.h>
#include <stdbool.h>

#include "service/build/run/seccomp_rules.h"

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

static json_t *conditional(const struct seccomp_rule *r)
{
	static const char *const ops[] = {
		[SECCOMP_EQUAL] = "SCMP_CMP_EQ",
		[SECCOMP_NOT_EQUAL] = "SCMP_CMP_NE",
		[SECCOMP_NO_BITS_OF] = "SCMP_CMP_MASKED_EQ",
	};

	return json_pack("{s:[s], s:s, s:[{s:i, s:I, s:I, s:s}]}", "names", r->name, "action", "SCMP_ACT_ALLOW", "args",
			 "index", 0, "value", (json_int_t)r->value, "valueTwo", (json_int_t)0, "op", ops[r->test]);
}

static bool add_conditional(json_t *rules)
{
	for (size_t i = 0; i < seccomp_conditional_n; i++)
		if (!add(rules, conditional(&seccomp_conditional[i])))
			return false;
	return true;
}

static bool add_rules(json_t *rules)
{
	static const char *const unseen[] = { SECCOMP_UNSEEN, NULL };

	return rules && add(rules, rule(seccomp_allowed, 0)) && add(rules, rule(seccomp_refused, EPERM)) &&
	       add(rules, rule(unseen, ENOSYS)) && add_conditional(rules);
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
