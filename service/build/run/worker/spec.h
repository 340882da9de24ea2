/*
 * config.json of a step (OCI runtime specification 1.0), as build.md 3.1 has it.
 *
 * Pure: from the plan and what was found out about the root. Paths in it are those of the workspace.
 */
#ifndef SERVICE_BUILD_RUN_WORKER_SPEC_H
#define SERVICE_BUILD_RUN_WORKER_SPEC_H

#include <jansson.h>

#include "service/build/run/worker/account.h"
#include "service/build/run/worker/workspace.h"

enum { SPEC_ENV_MAX = 8192 };

struct spec_input {
	const Imaged__Run__RunStep *step;
	const struct account *account;
	const char *workspace;
	const char *id;
	const char *cgroup; /* for a runtime that makes its own; NULL: it makes none */
	bool is_root;	    /* false: in a user namespace, where some file systems cannot be mounted */
	bool has_resolv, has_hosts;
};

/* E_INVALID: text that is not UTF-8, which JSON could not carry. *ret_text is the caller's. */
int spec_write(const struct spec_input *in, char **ret_text, struct err *err);

/* ---- its parts, each the caller's; NULL when memory is short ----------------------------- */

/* "capabilities" of process. */
json_t *spec_capabilities(bool insecure);
/* "mounts", in the order they are made in. */
json_t *spec_mounts(const struct spec_input *in);
/* "devices" of "linux": those of the host, as they are in /dev. */
json_t *spec_devices(void);
/* "linux". */
json_t *spec_linux(const struct spec_input *in);

/* A string of the plan; NULL also when it is not UTF-8. */
json_t *spec_string(ProtobufCBinaryData text);

#endif
