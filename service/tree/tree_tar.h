/*
 * A tree as one tar archive, given out in pieces. The same layers give the same bytes.
 *
 * POSIX.1-2001 with PAX records (store/archive/tar_head.h). The root comes first, as
 * "./". Extended attributes are SCHILY.xattr.NAME records, ACLs among them, in the binary
 * form for Go's programs (docker import), and as text in SCHILY.acl.* for GNU tar, which
 * takes them from nowhere else. The first name of a file is the file, its others are hard
 * links to that one. Sockets, which tar cannot say, are left out, as GNU tar does.
 *
 * Files with holes are in GNU's form 1.0, their map in front of their data: GNU tar, Go's
 * archive/tar, Python and our own import read it, and for GNU tar holes stay holes. As
 * zeros, a layer of some kilobytes could be an archive of exabytes.
 *
 * Memory: the tree's (tree.h), names of hard links (hard_links.h), one sparse map, one
 * entry's header. One thread at a time.
 */
#ifndef SERVICE_TREE_TREE_TAR_H
#define SERVICE_TREE_TREE_TAR_H

#include "service/tree/tree.h"

struct tree_tar;

/* `tree` becomes the archive's, also on failure. */
int tree_tar_new(struct tree *tree, struct tree_tar **ret_tar, struct err *err);

struct tree_tar_options {
	const char *prefix; /* of all names, "linux_amd64/"; NULL or "": none */
	bool has_time;	    /* all files get this one, in seconds */
	int64_t time;
	bool no_root; /* unless it has a name, by the prefix */
	bool no_end;  /* another tree follows: the zeros at the end are left out */
};

/* The same; `prefix` outlives it. */
int tree_tar_new_with(struct tree *tree, const struct tree_tar_options *options, struct tree_tar **ret_tar,
		      struct err *err);
void tree_tar_free(struct tree_tar *t); /* NULL is fine */
void tree_tar_freep(struct tree_tar **t);

/* The next bytes, as many as fit; 0 at the end. As tree_next(). */
int tree_tar_read(struct tree_tar *t, uint8_t *data, size_t size, size_t *ret_len, struct err *err);

#endif
