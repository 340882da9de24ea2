/*
 * The worker's walk over an archive, headers only: one block in, one step of the walk
 * out (archive_protocol.h). The data of members never come here.
 *
 * What tar_entry.h says about entries holds, and names are put together: PAX, else
 * GNU's long name, else the header with ustar's prefix. Readers differ in which of a
 * PAX path and a GNU long name counts, so both for one entry must be the same. Refused
 * are names and targets longer than WALK_NAME_MAX or with a NUL in them, sparse files
 * in every form (E_UNSUPPORTED: their data are not the file), sizes that reach past
 * what a file can have, and more than TAR_EXTENDED_RUN extended headers in a row.
 *
 * Memory: one extended header of at most TAR_EXTENDED_MAX, and four names. One thread.
 */
#ifndef SERVICE_LAYER_TAR_MEMBERS_H
#define SERVICE_LAYER_TAR_MEMBERS_H

#include "proto/runtime/buf.h"
#include "service/layer/archive_protocol.h"
#include "service/layer/tar_entry.h"

enum { TAR_EXTENDED_RUN = 32 };

struct tar_name {
	size_t len; /* 0: not given */
	char text[WALK_NAME_MAX];
};

enum tar_members_state { TAR_MEMBERS_HEADER, TAR_MEMBERS_EXTENDED, TAR_MEMBERS_SECOND_ZERO, TAR_MEMBERS_OVER };

struct tar_members {
	enum tar_members_state state;
	uint64_t next; /* where the next block must be from */
	uint64_t at;   /* where the header began that is being read */
	uint64_t left; /* of an extended header: bytes to come, padding included */
	unsigned run;  /* extended headers of this entry */
	struct tar_entry entry;
	struct buf extended;
	struct tar_name path, link;	      /* PAX */
	struct tar_name long_path, long_link; /* GNU */
};

void tar_members_init(struct tar_members *t);
void tar_members_free(struct tar_members *t);

/* Fills *ret_answer, whatever the outcome was; FAILED ends the walk. */
void tar_members_take(struct tar_members *t, const struct walk_request *request, struct walk_answer *ret_answer);

#endif
