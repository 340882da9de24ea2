/*
 * The lines of a Dockerfile around what an error or a warning is about, as BuildKit shows
 * them:
 *
 *	Dockerfile:3
 *	--------------------
 *	   1 |     FROM busybox
 *	   2 |
 *	   3 | >>> ENV PATH
 *	--------------------
 *
 * Pure.
 */
#ifndef SERVICE_BUILD_EXCERPT_H
#define SERVICE_BUILD_EXCERPT_H

#include "service/build/tree.h"

/* Appends nothing when the place is unknown or is not in the text. */
void excerpt_write(struct bytes text, const char *filename, struct place place, struct buf *out);

#endif
