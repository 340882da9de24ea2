/*
 * What an archive that is being saved holds: members in the order in which they go out.
 * The layouts (save_oci.c, save_docker.c) fill the list, save_read.c gives it out.
 *
 * Private to store/archive.
 */
#ifndef STORE_ARCHIVE_SAVE_MEMBERS_H
#define STORE_ARCHIVE_SAVE_MEMBERS_H

#include "proto/runtime/hash.h"
#include "store/archive/documents.h"
#include "store/archive/save.h"

struct save_member {
	struct tar_member tar;
	struct buf body;       /* of a document */
	struct digest digest;  /* of a blob; else unset */
	int64_t stored_size;   /* of the blob */
	struct digest diff_id; /* of a layer whose blob comes out inflated; else unset */
	UT_hash_handle hh;     /* of blobs, by digest */
	struct save_member *next;
};

/* How far the archive has been given out. */
struct save_position {
	struct save_member *member; /* NULL: behind the last one */
	struct buf header;
	int64_t offset; /* in the member: header, data, padding */
	int fd;		/* of a blob; -1 */
	void *plain;	/* of a layer that is being inflated; NULL */
	struct hasher hasher;
	size_t end; /* zeros behind the last member that were given out */
};

struct save {
	struct store *store;
	struct save_inflater inflater;
	struct save_member *members, **last, *blobs;
	size_t n_members, documents_bytes;
	struct lease_id lease;
	bool leased;
	struct save_position at;
};

/* Appends a member with the time 0 and without an owner; NULL when memory is short. */
struct save_member *save_add(struct save *a, const char *name, uint32_t mode, int64_t size);

/* A blob as the store has it. *ret_member (may be NULL): NULL when it is there already. */
int save_add_blob(struct save *a, const char *name, uint32_t mode, const struct digest *d, int64_t size,
		  struct save_member **ret_member, struct err *err);

typedef int save_document_fn(const void *arg, struct buf *out, struct err *err);

/* What `make` writes into a buffer of `max` bytes; nothing when that is nothing. */
int save_add_document(struct save *a, const char *name, uint32_t mode, size_t max, save_document_fn *make,
		      const void *arg, struct err *err);

/* Into the order of a walk over directories: each before what is in it. */
int save_sort(struct save *a, struct err *err);

/* ---- the layouts ------------------------------------------------------------------ */

int save_plan_oci(struct save *a, const struct selection *x, bool docker, struct err *err);
int save_plan_docker(struct save *a, const struct selection *x, struct err *err);

/* ---- save_read.c ------------------------------------------------------------------ */

/* To the first member. */
int save_begin(struct save *a, struct err *err);
void save_end(struct save *a);

#endif
