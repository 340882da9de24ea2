/* The flags of `imagectl build`, as they were given. */
#ifndef CLIENT_CLI_BUILD_BUILD_OPTIONS_H
#define CLIENT_CLI_BUILD_BUILD_OPTIONS_H

#include "client/cli/flags.h"

struct build_options {
	struct strings add_host, allow, annotation, attest, build_arg, build_context, cache_from, cache_to, label,
		no_cache_filter, output, platform, secret, security_opt, ssh, tag, ulimit;
	const char *builder, *call, *cgroup_parent, *cpuset_cpus, *cpuset_mems, *file, *iidfile, *isolation,
		*metadata_file, *network, *progress, *provenance, *sbom, *target;
	int64_t cpu_period, cpu_quota, cpu_shares, memory, memory_swap, shm_size;
	bool check, compress, debug, debug_shell, disable_content_trust, explain, force_rm, load, no_cache, pull, push,
		quiet, rm, squash;
};

#endif
