/*
 * The flags of an instruction against those that it knows.
 *
 *	static const struct flag_spec specs[] = { { "chown", FLAG_TEXT }, … };
 *	struct flag_value values[ARRAY_LEN(specs)];
 *	r = flags_parse(&node->flags, specs, ARRAY_LEN(specs), values, a, err);
 *
 * Pure; values are in the arena. E_INVALID in docker's words: "unknown flag: --x (did you
 * mean y?)", "duplicate flag specified: --x", "missing a value on flag: --x", "expecting
 * boolean value for flag --x, not: y".
 */
#ifndef SERVICE_BUILD_FLAGS_H
#define SERVICE_BUILD_FLAGS_H

#include "service/build/words.h"

enum flag_kind {
	FLAG_TEXT,
	FLAG_TEXTS, /* may be given several times */
	FLAG_SWITCH,
};

struct flag_spec {
	const char *name;
	enum flag_kind kind;
};

struct flag_value {
	bool given;
	bool on;		  /* FLAG_SWITCH */
	const char *text;	  /* FLAG_TEXT; "" when it is not given */
	struct string_list texts; /* FLAG_TEXTS */
};

enum { FLAGS_MAX = 8 };

/* `specs` are at most FLAGS_MAX. */
int flags_parse(const struct word_list *flags, const struct flag_spec *specs, size_t n_specs,
		struct flag_value *ret_values, struct arena *a, struct err *err);

#endif
