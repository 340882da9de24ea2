/* Platforms as users type them: containerd's rules and words. */
#include <stdio.h>

#include "store/types/platform.h"

enum { PARTS_MAX = 3, QUOTED_MAX = 160 };

/* clang-format off */
static const char *const systems[] = {
	"aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux", "nacl", "netbsd",
	"openbsd", "plan9", "solaris", "windows", "zos", NULL,
};

static const char *const architectures[] = {
	"386", "amd64", "amd64p32", "arm", "armbe", "arm64", "arm64be", "ppc64", "ppc64le", "loong64", "mips", "mipsle",
	"mips64", "mips64le", "mips64p32", "mips64p32le", "ppc", "riscv", "riscv64", "s390", "s390x", "sparc",
	"sparc64", "wasm", NULL,
};
/* clang-format on */

static bool is_known(const char *text, const char *const names[])
{
	for (; *names; names++)
		if (!strcmp(text, *names))
			return true;
	return false;
}

/* The text in quotes, without control characters, cut when it is long. */
static char *quoted(const char *text, size_t len, char out[QUOTED_MAX])
{
	size_t n = 0;

	out[n++] = '"';
	for (size_t i = 0; i < len && n + 8 < QUOTED_MAX; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			out[n++] = '\\';
		if (c >= ' ' && c <= '~')
			out[n++] = (char)c;
		else
			n += (size_t)snprintf(out + n, QUOTED_MAX - n, "\\x%02x", c);
	}
	out[n++] = '"';
	out[n] = 0;
	return out;
}

static int refuse(const char *text, struct err *err)
{
	char all[QUOTED_MAX];

	return fail(err, E_INVALID_PLATFORM, "%s: cannot parse platform specifier: invalid argument",
		    quoted(text, strlen(text), all));
}

static int refuse_part(const char *text, struct bytes part, struct err *err)
{
	char all[QUOTED_MAX], one[QUOTED_MAX];

	return fail(err, E_INVALID_PLATFORM,
		    "%s is an invalid component of %s: platform specifier component must match "
		    "\"^[A-Za-z0-9_.-]+$\": invalid argument",
		    quoted((const char *)part.data, part.len, one), quoted(text, strlen(text), all));
}

static size_t word_len(const uint8_t *p, size_t len)
{
	size_t n = 0;

	while (n < len && ((p[n] >= 'A' && p[n] <= 'Z') || (p[n] >= 'a' && p[n] <= 'z') ||
			   (p[n] >= '0' && p[n] <= '9') || p[n] == '_' || p[n] == '-' || p[n] == '.'))
		n++;
	return n;
}

static bool take(struct bytes b, char out[PLATFORM_PART_MAX])
{
	if (!b.len || b.len >= PLATFORM_PART_MAX || word_len(b.data, b.len) != b.len)
		return false;
	memcpy(out, b.data, b.len);
	out[b.len] = 0;
	return true;
}

/* os [ "(" version ")" ] */
static bool take_os(struct bytes b, struct platform *p, char out[PLATFORM_PART_MAX])
{
	size_t n = word_len(b.data, b.len);
	struct bytes version;

	if (n == b.len)
		return take(b, out);
	if (b.data[n] != '(' || b.data[b.len - 1] != ')' || b.len < n + 2)
		return false;
	version = (struct bytes){ b.data + n + 1, b.len - n - 2 };
	return take((struct bytes){ b.data, n }, out) && (!version.len || take(version, p->os_version));
}

static size_t split(const char *text, struct bytes parts[PARTS_MAX + 1])
{
	size_t n = 0;

	for (;;) {
		size_t len = strcspn(text, "/");

		parts[n++] = (struct bytes){ (const uint8_t *)text, len };
		if (!text[len] || n > PARTS_MAX)
			return n;
		text += len + 1;
	}
}

/* One word: a system, or an architecture; the rest is the host's. */
static int complete(const char *text, const char *word, struct platform *p, struct err *err)
{
	struct platform host = platform_host();
	char all[QUOTED_MAX];

	snprintf(p->os, sizeof p->os, "%s", word);
	platform_normalize(p);
	if (is_known(p->os, systems)) {
		memcpy(p->architecture, host.architecture, sizeof p->architecture);
		if (!strcmp(p->architecture, "arm") && strcmp(host.variant, "v7"))
			memcpy(p->variant, host.variant, sizeof p->variant);
		return OK;
	}
	snprintf(p->architecture, sizeof p->architecture, "%s", word);
	memcpy(p->os, host.os, sizeof p->os);
	platform_normalize(p);
	if (!is_known(p->architecture, architectures))
		return fail(err, E_INVALID_PLATFORM, "%s: unknown operating system or architecture: invalid argument",
			    quoted(text, strlen(text), all));
	return OK;
}

/* As typed, where the normal form says the same: "linux/arm" means v7 but shows
 * no variant, "linux/arm64/v8" keeps its own. */
static void keep_wording(size_t n, struct platform *p)
{
	if (n < PARTS_MAX && !strcmp(p->architecture, "arm") && !strcmp(p->variant, "v7"))
		p->variant[0] = 0;
	if (n == PARTS_MAX && !strcmp(p->architecture, "arm64") && !p->variant[0])
		snprintf(p->variant, sizeof p->variant, "v8");
}

int platform_parse(const char *text, struct platform *ret_platform, struct err *err)
{
	struct bytes parts[PARTS_MAX + 1] = { 0 };
	size_t n = split(text, parts);
	char first[PLATFORM_PART_MAX];
	struct platform p = { 0 };
	int r;

	if (n > PARTS_MAX)
		return refuse(text, err);
	if (!take_os(parts[0], &p, first))
		return refuse_part(text, parts[0], err);
	if (n > 1 && !take(parts[1], p.architecture))
		return refuse_part(text, parts[1], err);
	if (n > 2 && !take(parts[2], p.variant))
		return refuse_part(text, parts[2], err);
	if (n == 1) {
		r = complete(text, first, &p, err);
		if (r < 0)
			return r;
	} else {
		memcpy(p.os, first, sizeof first);
		platform_normalize(&p);
	}
	keep_wording(n, &p);
	*ret_platform = p;
	return OK;
}
