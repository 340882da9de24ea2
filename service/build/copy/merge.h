/*
 * What several sources bring to the same place, by the names that it gets there: one entry for
 * each, in order; of a name that several bring the last one counts, and directories are one.
 *
 * Memory: a stream for each item. One thread.
 */
#ifndef SERVICE_BUILD_COPY_MERGE_H
#define SERVICE_BUILD_COPY_MERGE_H

#include "service/build/copy/select.h"

struct merge;

struct merged_entry {
	struct bytes path; /* below the destination; "" is that itself */
	const struct stream_entry *entry;
	const struct copy_item *item;
	uint64_t number; /* of the item */
};

/* `targets`: of each item, the name that a file gets, "" for the destination itself. All borrowed. */
int merge_open(const struct copy_items *items, const struct bytes *targets, struct merge **ret_merge, struct err *err);
void merge_close(struct merge *m); /* NULL is fine */
void merge_closep(struct merge **m);

/* Borrowed until the next call; NULL at the end. E_INVALID: a file and a directory of the same name. */
int merge_next(struct merge *m, const struct merged_entry **ret_entry, struct err *err);

int merge_fail_directory(struct bytes directory, struct bytes path, struct err *err);
int merge_fail_file(struct bytes directory, struct bytes path, struct err *err);

#endif
