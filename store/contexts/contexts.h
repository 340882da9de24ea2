/*
 * Build contexts of clients: what of a directory on a client's machine is here from its last
 * build (DESIGN.md 7). One for each id that a client gives a directory of its own; none is
 * ever shared between ids, so that who lies about his files harms himself.
 *
 *   ROOT/contexts/HEX/NUMBER.list     the entries (context_list.h)
 *   ROOT/contexts/HEX/NUMBER.places   which files are here, and where (context_files.h)
 *   ROOT/contexts/HEX/NUMBER.pack     their bytes (context_pack.h)
 *
 * A record (keys.h, d) names the three that belong together and are synced; other files are
 * garbage of a process that was killed, and go when their context is next used or at the next
 * pruning. A build
 * enters its context, adds to it, and commits behind its end; what it added is then there
 * for the next one, and until then only for builds at the same time. Losing a context loses
 * time, never a build.
 *
 * Threads: any.
 */
#ifndef STORE_CONTEXTS_CONTEXTS_H
#define STORE_CONTEXTS_CONTEXTS_H

#include "store/contexts/context_files.h"

struct contexts;
struct context;

int contexts_new(struct store *s, struct contexts **ret_contexts, struct err *err);
/* When no build is in any. */
void contexts_free(struct contexts *c); /* NULL is fine */
struct store *contexts_store(struct contexts *c);

/* ---- of one build ------------------------------------------------------------------- */

/* `id`: as ClientDirectory; E_INVALID. A context whose files are damaged begins anew. */
int contexts_enter(struct contexts *c, struct bytes id, struct context **ret_context, struct err *err);
void context_leave(struct context *x); /* NULL is fine */

/* For the files of this context. */
const char *context_directory(const struct context *x);
/* The last files, referenced; NULL when there are none. */
struct context_files *context_last(struct context *x);
/* From now on the last; not durable yet. For those who build at the same time. */
void context_set_last(struct context *x, struct context_files *files);
/* Makes files durable, and what the next process finds. May take as long as the disk does. */
int context_commit(struct context *x, struct context_files *files, struct err *err);

/* ---- all of them ---------------------------------------------------------------------- */

struct context_usage {
	struct digest id; /* sha256 of the context's */
	int64_t bytes;	  /* of its three files */
	int64_t entries, created_ns, last_used_ns;
	bool in_use;
};

/* Returns false to stop. */
typedef bool context_visit(void *arg, const struct context_usage *usage);

/* As of the last commits; in order of the ids. */
/* In the order of their ids, those behind `after`; NULL: all. */
int contexts_each(struct contexts *c, const struct digest *after, context_visit *visit, void *arg, struct err *err);

/* How many of them builds are in, or were in and make durable what came. */
size_t contexts_in_use(struct contexts *c);

struct context_limits {
	int64_t max_bytes;    /* of all; < 0: any */
	int64_t unused_since; /* those last used before this time go too; 0: none */
	bool dry_run;
	context_visit *visit; /* each that went, or would go; NULL */
	void *arg;
};

struct context_freed {
	int64_t bytes, count;
};

/* The longest unused go first. Those in use stay, and count. */
int contexts_prune(struct contexts *c, const struct context_limits *limits, struct context_freed *ret_freed,
		   struct err *err);

#endif
