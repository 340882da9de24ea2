#include "service/build/secret_name.h"

#include "service/build/quote.h"

static bool is_one_of(struct bytes part, const char *const *words)
{
	for (; *words; words++)
		if (bytes_are_nocase(part, *words))
			return true;
	return false;
}

bool is_secret_name(const char *name)
{
	static const char *const secret[] = { "apikey", "auth",	  "credential", "credentials", "key", "password",
					      "pword",	"passwd", "secret",	"token",       NULL };
	static const char *const harmless[] = { "public", "file", "version", NULL };
	struct bytes rest = bytes_of(name);
	bool found = false;

	while (rest.len) {
		size_t len = bytes_find(rest, '_');
		struct bytes part = bytes_first(rest, len);

		if (is_one_of(part, harmless))
			return false;
		found = found || is_one_of(part, secret);
		rest = bytes_from(rest, len + (len < rest.len));
	}
	return found;
}

void warn_secret(struct lint *l, const struct instruction *i, const char *name)
{
	struct quoted quoted;

	if (is_secret_name(name))
		lint_warn(l, &i->node->comments, LINT_SECRETS_USED_IN_ARG_OR_ENV, i->place,
			  "Do not use ARG or ENV instructions for sensitive data (%s %s)", instruction_name(i->kind),
			  quote_short(name, &quoted));
}
