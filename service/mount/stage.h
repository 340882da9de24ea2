/*
 * ROOT/mounts/ID/l: where layers have directories until an overlay holds them, for ways
 * that cannot do without: what another program mounts has a directory, and so has what
 * overlayfs takes by name.
 *
 * stage_close() detaches all of them; after a crash stage_clear() does it.
 */
#ifndef SERVICE_MOUNT_STAGE_H
#define SERVICE_MOUNT_STAGE_H

#include "proto/runtime/mem.h"

struct stage {
	char *path; /* of the directory l; NULL: there is none */
	size_t n;   /* of layers: 0, 1, … */
};

#define STAGE_INIT           \
	{                    \
		.path = NULL \
	}

/* `path`: of ROOT/mounts/ID, which is made. */
int stage_open(struct stage *s, const char *path, struct err *err);
/* Makes the next directory; free() its path. */
int stage_next(struct stage *s, char **ret_path, struct err *err);
/* Moves a mount that is nowhere to the next directory. */
int stage_place(struct stage *s, int mount, struct err *err);
void stage_close(struct stage *s); /* also the cleanup function */

/* What a stage left that was not closed, and its directories. `path` as above. */
void stage_clear(const char *path);

#endif
