/*
 * From the bits that a CPU reports to the variant of its platform; apart from
 * platform_host() so that tests can feed any CPU. Private to store/types.
 */
#ifndef STORE_TYPES_PLATFORM_HOST_H
#define STORE_TYPES_PLATFORM_HOST_H

#include <stdint.h>

/* The registers that the x86-64 psABI levels are defined by. */
struct amd64_cpu {
	uint32_t basic_ecx;    /* leaf 1 */
	uint32_t extended_ecx; /* leaf 0x80000001 */
	uint32_t leaf7_ebx;
	uint64_t xcr0; /* register state that the kernel saves; 0 without OSXSAVE */
};

/* "" for v1, "v2", "v3", "v4" */
const char *amd64_variant(const struct amd64_cpu *cpu);

/* AT_HWCAP and AT_HWCAP2 of arm64 Linux: "" for v8, "v8.1" … "v8.5", "v9" */
const char *arm64_variant(uint64_t hwcap, uint64_t hwcap2);

/* AT_PLATFORM of arm Linux ("v7l"): "v5" … "v8", "v7" when it is unknown. */
const char *arm_variant(const char *at_platform);

#endif
