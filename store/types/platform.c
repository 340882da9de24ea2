#include "store/types/platform.h"

#include <stdio.h>

enum {
	LADDER_MAX = 64, /* rungs that one machine can have */
	ARM_LOWEST = 5,
	ARM64_V8_HIGHEST = 9,
};

/* ---- names ----------------------------------------------------------------- */

static void lower(char *text)
{
	for (; *text; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
}

static void set(char out[PLATFORM_PART_MAX], const char *text)
{
	snprintf(out, PLATFORM_PART_MAX, "%s", text);
}

static bool is_one_of(const char *text, const char *const names[])
{
	for (; *names; names++)
		if (!strcmp(text, *names))
			return true;
	return false;
}

static void normalize_arm64(struct platform *p)
{
	static const char *const v8[] = { "8", "v8", "8.0", "v8.0", NULL };
	static const char *const v9[] = { "9", "9.0", "v9.0", NULL };

	set(p->architecture, "arm64");
	if (is_one_of(p->variant, v8))
		set(p->variant, "");
	else if (is_one_of(p->variant, v9))
		set(p->variant, "v9");
}

static void normalize_arm(struct platform *p)
{
	char digit = p->variant[0];

	if (!digit)
		set(p->variant, "v7");
	else if (!p->variant[1] && digit >= '5' && digit <= '8')
		snprintf(p->variant, sizeof p->variant, "v%c", digit);
}

void platform_normalize(struct platform *p)
{
	static const char *const amd64[] = { "amd64", "x86_64", "x86-64", NULL };
	static const char *const arm64[] = { "arm64", "aarch64", NULL };

	lower(p->os);
	lower(p->architecture);
	lower(p->variant);
	if (!strcmp(p->os, "macos"))
		set(p->os, "darwin");
	if (is_one_of(p->architecture, amd64)) {
		set(p->architecture, "amd64");
		if (!strcmp(p->variant, "v1"))
			set(p->variant, "");
	} else if (is_one_of(p->architecture, arm64)) {
		normalize_arm64(p);
	} else if (!strcmp(p->architecture, "i386")) {
		set(p->architecture, "386");
		set(p->variant, "");
	} else if (!strcmp(p->architecture, "armhf")) {
		set(p->architecture, "arm");
		set(p->variant, "v7");
	} else if (!strcmp(p->architecture, "armel")) {
		set(p->architecture, "arm");
		set(p->variant, "v6");
	} else if (!strcmp(p->architecture, "arm")) {
		normalize_arm(p);
	}
}

char *platform_text(const struct platform *p, char out[PLATFORM_TEXT_MAX])
{
	snprintf(out, PLATFORM_TEXT_MAX, "%s/%s%s%s", p->os, p->architecture, p->variant[0] ? "/" : "", p->variant);
	return out;
}

bool platform_eq(const struct platform *a, const struct platform *b)
{
	struct platform x = *a, y = *b;

	platform_normalize(&x);
	platform_normalize(&y);
	return !strcmp(x.os, y.os) && !strcmp(x.architecture, y.architecture) && !strcmp(x.variant, y.variant);
}

/* ---- choice ---------------------------------------------------------------- */

/* What a machine runs, best first. */
struct rung {
	const char *architecture;
	char variant[PLATFORM_PART_MAX];
};

struct ladder {
	struct rung rungs[LADDER_MAX];
	size_t n;
};

static void add(struct ladder *l, const char *architecture, const char *variant)
{
	if (l->n == LADDER_MAX)
		return;
	l->rungs[l->n].architecture = architecture;
	set(l->rungs[l->n++].variant, variant);
}

static void add_numbered(struct ladder *l, const char *architecture, const char *prefix, unsigned n)
{
	char variant[PLATFORM_PART_MAX];

	snprintf(variant, sizeof variant, "%s%u", prefix, n);
	add(l, architecture, variant);
}

/* "v3" → 3 and 0, "v8.2" → 8 and 2; false for anything else. */
static bool version_of(const char *variant, unsigned *ret_major, unsigned *ret_minor)
{
	if (variant[0] != 'v' || variant[1] < '0' || variant[1] > '9')
		return false;
	if (variant[2] && (variant[2] != '.' || variant[3] < '0' || variant[3] > '9' || variant[4]))
		return false;
	*ret_major = (unsigned)(variant[1] - '0');
	*ret_minor = variant[2] ? (unsigned)(variant[3] - '0') : 0;
	return true;
}

static void climb_amd64(struct ladder *l, const char *variant)
{
	unsigned major = 1, minor = 0;

	if (version_of(variant, &major, &minor) && !minor)
		for (; major > 2; major--)
			add_numbered(l, "amd64", "v", major - 1);
	if (variant[0])
		add(l, "amd64", "");
	add(l, "386", "");
}

static void climb_arm(struct ladder *l, const char *variant)
{
	unsigned major = 0, minor = 0;

	if (version_of(variant, &major, &minor) && !minor)
		for (; major > ARM_LOWEST; major--)
			add_numbered(l, "arm", "v", major - 1);
}

static void climb_minors(struct ladder *l, const char *prefix, unsigned below)
{
	for (; below > 1; below--)
		add_numbered(l, "arm64", prefix, below - 1);
}

/* Each v9.x holds v8.(x+5); v8.0 is the empty variant. */
static void climb_arm64(struct ladder *l, const char *variant)
{
	unsigned major = 8, minor = 0;

	if (!variant[0] || version_of(variant, &major, &minor)) {
		if (major == 9) {
			climb_minors(l, "v9.", minor);
			if (minor)
				add(l, "arm64", "v9");
			minor = (minor + 5 > ARM64_V8_HIGHEST ? ARM64_V8_HIGHEST : minor + 5) + 1;
		}
		climb_minors(l, "v8.", minor);
	}
	if (variant[0])
		add(l, "arm64", "");
	add(l, "arm", "v8");
	climb_arm(l, "v8");
}

static void climb(struct ladder *l, const struct platform *p)
{
	add(l, p->architecture, p->variant);
	if (!strcmp(p->architecture, "amd64"))
		climb_amd64(l, p->variant);
	else if (!strcmp(p->architecture, "arm"))
		climb_arm(l, p->variant);
	else if (!strcmp(p->architecture, "arm64"))
		climb_arm64(l, p->variant);
}

/* Windows images run on one build of Windows: "10.0.17763". */
static bool same_build(const char *a, const char *b)
{
	unsigned dots = 0;

	if (!*a || !*b)
		return true;
	for (; *a == *b && *a; a++, b++)
		if (*a == '.' && ++dots == 3)
			return true;
	return (!*a || (*a == '.' && dots == 2)) && (!*b || (*b == '.' && dots == 2));
}

unsigned platform_rank(const struct platform *wanted, const struct platform *offered)
{
	struct platform want = *wanted, have = *offered;
	struct ladder l = { .n = 0 };

	platform_normalize(&want);
	platform_normalize(&have);
	if (strcmp(want.os, have.os))
		return 0;
	if (!strcmp(want.os, "windows") && !same_build(want.os_version, have.os_version))
		return 0;
	climb(&l, &want);
	for (size_t i = 0; i < l.n; i++)
		if (!strcmp(l.rungs[i].architecture, have.architecture) && !strcmp(l.rungs[i].variant, have.variant))
			return (unsigned)(LADDER_MAX - i);
	return 0;
}
