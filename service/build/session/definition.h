/*
 * The Dockerfile of a build: its bytes, wherever they come from, and what it says. Inside of
 * this folder.
 */
#ifndef SERVICE_BUILD_SESSION_DEFINITION_H
#define SERVICE_BUILD_SESSION_DEFINITION_H

#include "service/build/dockerfile.h"
#include "service/build/session/session.h"

struct definition {
	struct buf read; /* of a file of the context */
	struct bytes text;
	const char *name; /* as messages tell it */
	struct arena arena;
	struct lint lint;
	struct dockerfile file;
	struct place place; /* of the failure */
};

/* With the main context where the Dockerfile is one of its files, or all of it. */
int definition_read(struct session *s, struct definition *d, struct err *err);
int definition_parse(struct session *s, struct definition *d, struct err *err);
void definition_free(struct definition *d);

/* Where the build failed, for people. Nothing when the place is unknown. */
void definition_tell_place(struct session *s, const struct definition *d, struct place place, const struct err *why);
/* What the linters have found. */
void definition_tell_warnings(struct session *s, struct definition *d);

#endif
