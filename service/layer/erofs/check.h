/*
 * The daemon's own look at an image before it is mounted for the first time: the file
 * came from a process that has read hostile bytes, and goes to the kernel (DESIGN.md
 * 11.7). It is taken for what a writer of ours makes, or refused; a sound image of
 * another tool is refused too, when it uses more of the format.
 *
 * Looked at is all metadata that can be reached from the root: the superblock and its
 * checksum; each inode's form, type and layout; that every block and chunk that it names
 * is in the image; xattrs, ACLs, and that of overlayfs's own there are no others than
 * marks of opaque directories; each directory's names, their order, its "." and "..";
 * that directories are a tree. Not looked at are the bytes of files, and whether link
 * counts are true and inodes share blocks, which harms nobody who only reads.
 *
 * Bounded: by the image's size (bytes looked at), the entries in `limits`, and memory of
 * 16 bytes for each directory. The file must not change meanwhile or afterwards: whoever
 * asks makes sure that nobody can write to it any more. Any thread; one image each.
 */
#ifndef SERVICE_LAYER_EROFS_CHECK_H
#define SERVICE_LAYER_EROFS_CHECK_H

#include <stdbool.h>

#include "proto/runtime/cancel.h"

struct erofs_summary {
	uint64_t entries; /* names, but for "." and ".." */
	uint64_t directories, whiteouts;
	bool root_is_opaque;
};

/* `fd`: for pread(2). E_CORRUPT with what is wrong; E_LIMIT: more than max_entries; E_IO;
 * the token's code. */
int erofs_check(int fd, uint64_t max_entries, struct cancel *cancel, struct erofs_summary *ret_summary,
		struct err *err);

/* Only the superblock, of which there is a checksum. E_CORRUPT; E_IO. */
int erofs_check_super(int fd, struct err *err);

#endif
