/*
 * Where a step's files go: the path without links, what is there already, and the directories on the
 * way, of which those that are missing are made (build.md 1.3, "dst rules").
 *
 * One thread. E_INVALID "mkdir /x: not a directory".
 */
#ifndef SERVICE_BUILD_COPY_DESTINATION_H
#define SERVICE_BUILD_COPY_DESTINATION_H

#include "service/build/copy/layer_out.h"

struct destination_directory {
	size_t path_len;
	bool exists;
	struct source_entry e; /* when it does */
};

enum destination_state { DESTINATION_MISSING, DESTINATION_DIRECTORY, DESTINATION_FILE };

struct destination {
	struct copy_files into;	 /* its view may be NULL: nothing is there */
	struct copy_owner owner; /* of what is made */
	uint32_t mode;
	int64_t time;
	struct buf path;		     /* relative, without links; "" is the root */
	enum destination_state state, found; /* what it is by now, and what it was */
	struct destination_directory *way;   /* those on the way, and itself when it is one */
	size_t n_way;
	bool is_told;	    /* they are in the layer */
	struct buf missing; /* a directory that is not there, so that nothing below it is */
	bool has_missing;
};

/* `path`: absolute; a '/' at its end: it is a directory. */
int destination_init(struct destination *d, struct tree_view *into, const char *path, struct err *err);
void destination_free(struct destination *d);

/* After `state` is what it will be: tells those that are made, and with `all` the others too, once. */
int destination_tell_way(struct destination *d, bool all, struct layer_out *out, struct err *err);

/* What is at a path (with that of the destination in front), in order of the paths; *ret_found. */
int destination_lookup(struct destination *d, struct bytes path, bool *ret_found, struct source_entry *ret_entry,
		       struct err *err);

#endif
