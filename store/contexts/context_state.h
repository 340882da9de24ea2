/*
 * Inside of the contexts: for the files of this folder.
 */
#ifndef STORE_CONTEXTS_CONTEXT_STATE_H
#define STORE_CONTEXTS_CONTEXT_STATE_H

#include "proto/runtime/hash.h"
#include "store/contexts/contexts.h"

struct contexts {
	struct store *store;
	pthread_mutex_t mu;
	pthread_cond_t left; /* a context is in use no more */
	struct context *in_use;
};

struct context {
	struct contexts *contexts;
	struct digest id;
	char directory[DIGEST_TEXT_MAX];
	unsigned refs; /* under contexts->mu */
	bool leaving;  /* it is being removed: nobody enters; under contexts->mu */

	/* Held while its files are opened or committed: others of the same context wait for
	 * exactly that. */
	pthread_mutex_t mu;
	bool loaded;
	struct context_files *last;
	int64_t created_ns;
	struct context_names {
		uint64_t list, places, pack;
	} names;	   /* of the record; zeros: there is none */
	UT_hash_handle hh; /* by id */
};

/* The files that the record tells of into x->last, and anything else of the directory away.
 * What cannot be used is forgotten. Under x->mu. */
int context_load(struct context *x, struct err *err);
/* Syncs and writes the record. Under x->mu. */
int context_save(struct context *x, struct context_files *files, struct err *err);
/* The record, then the files. */
int context_remove(struct contexts *c, const struct digest *id, struct err *err);

/* Removes what no record tells of, but of contexts in use. */
void contexts_sweep(struct contexts *c);

/* Takes the context out of use, unless it is in use: false then. context_release() ends it. */
bool context_seize(struct contexts *c, const struct digest *id, struct context **ret_context);
void context_release(struct context *x);

#endif
