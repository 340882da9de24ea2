#include "service/build/proxies.h"

static const struct {
	const char *upper, *lower;
} names[] = {
	{ "HTTP_PROXY", "http_proxy" }, { "HTTPS_PROXY", "https_proxy" }, { "FTP_PROXY", "ftp_proxy" },
	{ "NO_PROXY", "no_proxy" },	{ "ALL_PROXY", "all_proxy" },
};

static const char *value_of(const struct scope *args, size_t which)
{
	const struct scope_arg *lower = scope_find(args, bytes_of(names[which].lower));
	const struct scope_arg *found = lower ? lower : scope_find(args, bytes_of(names[which].upper));

	return found && found->value && *found->value ? found->value : NULL;
}

int proxies_of(const struct scope *args, struct arena *a, struct string_list *ret_env, struct err *err)
{
	struct string_list env = { .items = arena_array(a, 2 * ARRAY_LEN(names), sizeof *env.items) };

	if (!env.items)
		return fail_nomem(err);
	for (size_t i = 0; args && i < ARRAY_LEN(names); i++) {
		const char *value = value_of(args, i);

		if (!value)
			continue;
		env.items[env.n++] = arena_printf(a, "%s=%s", names[i].upper, value);
		env.items[env.n++] = arena_printf(a, "%s=%s", names[i].lower, value);
		if (!env.items[env.n - 2] || !env.items[env.n - 1])
			return fail_nomem(err);
	}
	*ret_env = env;
	return OK;
}
