#include "store/types/platform_host.h"

#include <stdio.h>
#include <sys/auxv.h>

#include "store/types/platform.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define BIT(n) (UINT64_C(1) << (n))

/* ---- amd64 ----------------------------------------------------------------- */

enum {
	ECX_SSE3 = 0,
	ECX_SSSE3 = 9,
	ECX_FMA = 12,
	ECX_CX16 = 13,
	ECX_SSE41 = 19,
	ECX_SSE42 = 20,
	ECX_MOVBE = 22,
	ECX_POPCNT = 23,
	ECX_OSXSAVE = 27,
	ECX_AVX = 28,
	ECX_F16C = 29,
	EXT_LAHF = 0,
	EXT_LZCNT = 5,
	EBX_BMI1 = 3,
	EBX_AVX2 = 5,
	EBX_BMI2 = 8,
	EBX_AVX512F = 16,
	EBX_AVX512DQ = 17,
	EBX_AVX512CD = 28,
	EBX_AVX512BW = 30,
	EBX_AVX512VL = 31,
};

struct amd64_level {
	const char *variant;
	struct amd64_cpu needs;
};

static bool holds(const struct amd64_cpu *cpu, const struct amd64_cpu *needs)
{
	return (cpu->basic_ecx & needs->basic_ecx) == needs->basic_ecx &&
	       (cpu->extended_ecx & needs->extended_ecx) == needs->extended_ecx &&
	       (cpu->leaf7_ebx & needs->leaf7_ebx) == needs->leaf7_ebx && (cpu->xcr0 & needs->xcr0) == needs->xcr0;
}

const char *amd64_variant(const struct amd64_cpu *cpu)
{
	static const struct amd64_level levels[] = {
		{ "v2",
		  { .basic_ecx = BIT(ECX_SSE3) | BIT(ECX_SSSE3) | BIT(ECX_CX16) | BIT(ECX_SSE41) | BIT(ECX_SSE42) |
				 BIT(ECX_POPCNT),
		    .extended_ecx = BIT(EXT_LAHF) } },
		{ "v3",
		  { .basic_ecx = BIT(ECX_FMA) | BIT(ECX_MOVBE) | BIT(ECX_OSXSAVE) | BIT(ECX_AVX) | BIT(ECX_F16C),
		    .extended_ecx = BIT(EXT_LZCNT),
		    .leaf7_ebx = BIT(EBX_BMI1) | BIT(EBX_AVX2) | BIT(EBX_BMI2),
		    .xcr0 = 0x06 } },
		{ "v4",
		  { .leaf7_ebx = BIT(EBX_AVX512F) | BIT(EBX_AVX512DQ) | BIT(EBX_AVX512CD) | BIT(EBX_AVX512BW) |
				 BIT(EBX_AVX512VL),
		    .xcr0 = 0xe6 } },
	};
	const char *variant = "";

	for (size_t i = 0; i < ARRAY_LEN(levels) && holds(cpu, &levels[i].needs); i++)
		variant = levels[i].variant;
	return variant;
}

/* ---- arm64, arm ------------------------------------------------------------ */

/* Each level holds those before it; only what the architecture makes mandatory. */
const char *arm64_variant(uint64_t hwcap, uint64_t hwcap2)
{
	enum { ATOMICS = 8, RDM = 12, JSCVT = 13, FCMA = 14, LRCPC = 15, DCPOP = 16, DIT = 24, USCAT = 25 };
	enum { ILRCPC = 26, FLAGM = 27, SB = 29, SVE2 = 1, FLAGM2 = 7, FRINT = 8 };
	static const struct {
		const char *variant;
		uint64_t hwcap, hwcap2;
	} levels[] = {
		{ "v8.1", BIT(ATOMICS) | BIT(RDM), 0 },
		{ "v8.2", BIT(DCPOP), 0 },
		{ "v8.3", BIT(JSCVT) | BIT(FCMA) | BIT(LRCPC), 0 },
		{ "v8.4", BIT(DIT) | BIT(USCAT) | BIT(ILRCPC) | BIT(FLAGM), 0 },
		{ "v8.5", BIT(SB), BIT(FLAGM2) | BIT(FRINT) },
		{ "v9", 0, BIT(SVE2) },
	};
	const char *variant = "";

	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		if ((hwcap & levels[i].hwcap) != levels[i].hwcap || (hwcap2 & levels[i].hwcap2) != levels[i].hwcap2)
			break;
		variant = levels[i].variant;
	}
	return variant;
}

const char *arm_variant(const char *at_platform)
{
	static const char *const variants[] = { "v5", "v6", "v7", "v8" };

	for (size_t i = 0; at_platform && i < ARRAY_LEN(variants); i++)
		if (!strncmp(at_platform, variants[i], 2))
			return variants[i];
	return "v7";
}

/* ---- this machine ---------------------------------------------------------- */

#if defined(__x86_64__)

static uint64_t read_xcr0(void)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (uint64_t)high << 32 | low;
}

static const char *host_variant(void)
{
	struct amd64_cpu cpu = { 0 };
	uint32_t a, b, c, d;

	if (__get_cpuid(1, &a, &b, &c, &d))
		cpu.basic_ecx = c;
	if (__get_cpuid(0x80000001, &a, &b, &c, &d))
		cpu.extended_ecx = c;
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
		cpu.leaf7_ebx = b;
	if (cpu.basic_ecx & BIT(ECX_OSXSAVE))
		cpu.xcr0 = read_xcr0();
	return amd64_variant(&cpu);
}

#define HOST_ARCHITECTURE "amd64"
#elif defined(__aarch64__)

static const char *host_variant(void)
{
	return arm64_variant(getauxval(AT_HWCAP), getauxval(AT_HWCAP2));
}

#define HOST_ARCHITECTURE "arm64"
#elif defined(__arm__)

static const char *host_variant(void)
{
	return arm_variant((const char *)getauxval(AT_PLATFORM));
}

#define HOST_ARCHITECTURE "arm"
#else

static const char *host_variant(void)
{
	return "";
}

#if defined(__i386__)
#define HOST_ARCHITECTURE "386"
#elif defined(__riscv) && __riscv_xlen == 64
#define HOST_ARCHITECTURE "riscv64"
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define HOST_ARCHITECTURE "ppc64le"
#elif defined(__s390x__)
#define HOST_ARCHITECTURE "s390x"
#elif defined(__loongarch64)
#define HOST_ARCHITECTURE "loong64"
#else
#error "the platform name of this architecture is not known"
#endif
#endif

struct platform platform_host(void)
{
	struct platform p = { .os = "linux", .architecture = HOST_ARCHITECTURE };

	snprintf(p.variant, sizeof p.variant, "%s", host_variant());
	return p;
}
