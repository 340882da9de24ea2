/*
 * Inside of a build's context: for the files of this folder.
 */
#ifndef SERVICE_BUILD_CONTEXT_BUILD_CONTEXT_STATE_H
#define SERVICE_BUILD_CONTEXT_BUILD_CONTEXT_STATE_H

#include "service/build/context/build_context.h"
#include "service/build/context/context_owners.h"
#include "store/contexts/pack_writer.h"

enum { INTAKE_PLACES = 1024, WANT_FILES_MAX = 65536 };

/* Files that were asked for at once, and room in the pack for all of them. */
struct want {
	struct want *next;
	uint64_t begin, end; /* of the room */
	size_t n;
	uint32_t files[];
};

/* The bytes that come: only for the thread that receives. */
struct intake {
	struct want *want; /* the first one; NULL: nothing is expected */
	size_t at;	   /* which of its files comes */
	struct pack_writer writer;
	/* Places of whole files, consecutive entries from run_begin on, not put yet. */
	struct context_place run[INTAKE_PLACES];
	uint32_t run_begin;
	size_t run_n;
};

enum build_context_state { CONTEXT_LISTING, CONTEXT_READY, CONTEXT_FAILED };

struct build_context {
	char *name;
	struct contexts *contexts;
	struct context *context; /* NULL: it is no directory of a client */
	struct build_context_peer peer;
	struct digest list_digest;
	struct context_list_writer *writer; /* while the list comes: of the receiving thread */

	pthread_mutex_t send_mu; /* what is asked for goes out in the order of the queue; taken before mu */

	pthread_mutex_t mu; /* guards the rest */
	pthread_cond_t changed;
	enum build_context_state state;
	struct err failure;
	struct context_files *files;  /* CONTEXT_READY: does not change any more */
	struct context_owner *owners; /* of an archive, for each entry; NULL: all are root's */
	uint8_t *asked;		      /* a bit for each entry */
	struct want *first, *last;    /* what was asked for, and has not come */
	struct want *spent;	      /* what has come, and somebody may still be sending */
	uint64_t wants, arrived;      /* how many there have been, and have come */
	int64_t received;

	struct intake intake;
};

/* The list is here: what of its files is known from before. */
int build_context_set_list(struct build_context *c, struct context_list *list, struct err *err);

/* OK, or why the context has failed. Under mu. */
int build_context_check(const struct build_context *c, struct err *err);

/* Waits until `done`, a failure, or the token. Under mu. */
int build_context_await(struct build_context *c, bool (*done)(const struct build_context *, uint64_t), uint64_t arg,
			struct cancel *cancel, struct err *err);

void wants_free(struct want *w);

/* Writes what was taken, and makes known the files that are whole. */
int intake_flush(struct build_context *c, struct err *err);

#endif
