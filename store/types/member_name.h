/*
 * Names of members of an archive from outside, as keys to look members up by: nothing
 * in an archive names a path of this machine (registry-cri.md 5.1, 5.2).
 *
 * One form: components with single slashes between them, relative to the archive's
 * root, which itself is ".". Pure functions on hostile bytes; any thread. Failure:
 * E_BAD_CONTENT, with the member's name made printable; the output is untouched then.
 */
#ifndef STORE_TYPES_MEMBER_NAME_H
#define STORE_TYPES_MEMBER_NAME_H

#include "proto/runtime/mem.h"

enum { MEMBER_NAME_MAX = 4096, MEMBER_NAME_ROOM = MEMBER_NAME_MAX + 1 };

/* Takes "./" off the front and one "/" off the end. Refuses an absolute name, "..",
 * "." and nothing between slashes, NUL, and more than MEMBER_NAME_MAX bytes. For a
 * member's own name, the target of a hard link, and names in manifest.json. */
int member_name_normalize(struct bytes name, char ret_name[MEMBER_NAME_ROOM], struct err *err);

/* A name in manifest.json, as docker joins it to the directory that it unpacked into: without
 * empty components, "." and "..", "." for the root; a slash at its front means nothing.
 * *ret_above: how many directories above the root it begins; then it leads out of the archive.
 * Refuses NUL and what is too long. */
int member_name_clean(struct bytes name, char ret_name[MEMBER_NAME_ROOM], size_t *ret_above, struct err *err);

/* What a symbolic link points at: `target` from the folder of `member`, which is
 * normalised, without looking at the archive. Refuses absolute targets and those that
 * leave the archive. */
int member_name_resolve(const char *member, struct bytes target, char ret_name[MEMBER_NAME_ROOM], struct err *err);

#endif
