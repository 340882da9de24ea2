/*
 * Platforms and the choice among those that an index offers
 * (registry-cri.md 1.5, as containerd chooses). Pure values. Platforms out of
 * documents stay as written, so that they show as their author wrote them;
 * platform_rank() and platform_eq() normalise for themselves.
 */
#ifndef STORE_TYPES_PLATFORM_H
#define STORE_TYPES_PLATFORM_H

#include "proto/runtime/mem.h"

enum { PLATFORM_PART_MAX = 64, PLATFORM_TEXT_MAX = 3 * PLATFORM_PART_MAX + 3 };

struct platform {
	char os[PLATFORM_PART_MAX];
	char architecture[PLATFORM_PART_MAX];
	char variant[PLATFORM_PART_MAX];
	char os_version[PLATFORM_PART_MAX];
};

/* "os[(version)]/arch[/variant]", "os" or "arch" alone (the rest from the host).
 * The result is normalised, but for containerd's two exceptions: "linux/arm" keeps
 * no variant (it means v7) and "linux/arm64/v8" keeps its v8. E_INVALID_PLATFORM:
 * "\"a/b/c/d\": cannot parse platform specifier: invalid argument". */
int platform_parse(const char *text, struct platform *ret_platform, struct err *err);

/* The machine that this process runs on, with its CPU's variant. */
struct platform platform_host(void);

/* x86_64 → amd64, aarch64 → arm64, armhf → arm/v7, arm64/v8 → arm64, … */
void platform_normalize(struct platform *p);

char *platform_text(const struct platform *p, char out[PLATFORM_TEXT_MAX]);

/* How well `offered` serves `wanted`: 0 does not run there, larger is better. */
unsigned platform_rank(const struct platform *wanted, const struct platform *offered);

/* Same os, architecture and (after normalisation) variant. */
bool platform_eq(const struct platform *a, const struct platform *b);

#endif
