/*
 * A context of one build: the entries of its list, and the bytes of those files that the
 * build needs (build.md 1.4, DESIGN.md 7).
 *
 * Of a directory of the client: the list comes only when it is not the one of an earlier
 * build; of the files come those that are needed and not here yet. Archives, URLs and git
 * repositories become the same form at once (context_archive.h, context_git.h).
 *
 *   the thread that receives      build_context_take_list(), …_take_data() for each message
 *                                 that names the context; build_context_fail() at its end
 *   threads that execute          build_context_wait(), then entries by their index,
 *                                 build_context_need() before digests and bytes
 *
 * The peer's functions are called on the threads that execute (and where the context is
 * opened), one at a time for each context. The client is not trusted: whatever it says wrong
 * fails its build alone, and of a file nothing is kept but when all its bytes have come.
 *
 * Ownership: build_context_close() after no thread uses it any more; it makes durable what
 * came, which may take as long as the disk does, so that it is best done behind the answer.
 */
#ifndef SERVICE_BUILD_CONTEXT_BUILD_CONTEXT_H
#define SERVICE_BUILD_CONTEXT_BUILD_CONTEXT_H

#include "imaged/v1/build.pb-c.h"
#include "proto/runtime/cancel.h"
#include "service/build/context/context_owners.h"
#include "store/contexts/contexts.h"

struct build_context;

/* Sends to the client. */
struct build_context_peer {
	int (*want_list)(void *arg, const char *context, struct err *err);
	int (*want_files)(void *arg, const char *context, const uint32_t *files, size_t n, struct err *err);
	void *arg;
};

/* `name`: as BuildContext says. Nothing is sent before build_context_begin(), which asks
 * for the list where it is not here, so that the thread that receives can know the context
 * first. */
int build_context_open_directory(struct contexts *contexts, const char *name,
				 const Imaged__V1__ClientDirectory *directory, const struct build_context_peer *peer,
				 struct build_context **ret_context, struct err *err);
int build_context_begin(struct build_context *c, struct err *err);
/* Files that are all here. Takes them. */
int build_context_of_files(const char *name, struct context_files *files, struct build_context **ret_context,
			   struct err *err);
/* Frees it whatever comes of making durable what came. NULL is fine. */
int build_context_close(struct build_context *c, struct err *err);
void build_context_closep(struct build_context **c);

/* ---- the thread that receives --------------------------------------------------------- */

int build_context_take_list(struct build_context *c, const Imaged__V1__ContextList *m, struct err *err);
int build_context_take_data(struct build_context *c, const Imaged__V1__ContextData *m, struct err *err);
/* Nothing comes any more: who waits, and whoever will, gets this error. */
void build_context_fail(struct build_context *c, const struct err *why);

/* ---- the threads that execute ----------------------------------------------------------- */

/* Until the list is here. The token may be NULL. */
int build_context_wait(struct build_context *c, struct cancel *cancel, struct err *err);

/* After that: for entries, paths and ranges. Borrowed. */
const struct context_list *build_context_list(const struct build_context *c);

/* Waits until the bytes of the regular files among the entries are here. E_ABORTED: the
 * client cannot give one of them, with its words; E_DISK_FULL. */
int build_context_need(struct build_context *c, const struct context_range *ranges, size_t n, struct cancel *cancel,
		       struct err *err);
/* Bytes that were sent in this build, for progress. */
int64_t build_context_received(struct build_context *c);

/* Bytes of a regular file that was needed before. */
struct build_file {
	int fd; /* the context's, for pread(2) and copy_file_range(2) */
	int64_t offset, size;
	struct digest sha256;
};

void build_context_file(struct build_context *c, uint32_t index, struct build_file *ret_file);
/* Of an archive that was read with its owners; else root, and nothing is made. */
void build_context_owner(const struct build_context *c, uint32_t index, struct context_owner *ret_owner);
/* Extended attributes of any entry, packed: see context_xattrs_next(). `out` is emptied
 * first. */
int build_context_xattrs(struct build_context *c, uint32_t index, struct buf *out, struct err *err);

/* What COPY's key is made of (build.md 2.1): type and mode count, link targets, device
 * numbers, extended attributes and bytes; times and owners never. The bytes of all files in
 * it must have been needed before.
 *
 *   ..._digest_entry     the entry itself; of a directory nothing that is in it
 *   ..._digest_tree      the entry, with all that is below it and their names
 *   ..._digest_contents  what is below a directory ("" for the root), without the
 *                        directory's own mode, which COPY does not take over */
int build_context_digest_entry(struct build_context *c, uint32_t index, struct digest *ret_digest, struct err *err);
int build_context_digest_tree(struct build_context *c, uint32_t index, struct digest *ret_digest, struct err *err);
int build_context_digest_contents(struct build_context *c, struct bytes directory, struct digest *ret_digest,
				  struct err *err);

#endif
