/*
 * What removals took, or would take, of all their answers together: docker's lines as they
 * come, or one object under --format at the end. One thread.
 */
#ifndef CLIENT_CLI_REMOVED_VIEW_H
#define CLIENT_CLI_REMOVED_VIEW_H

#include "client/cli/format/rows.h"
#include "imaged/v1/common.pb-c.h"

struct removed_view {
	const char *untagged, *deleted; /* how a line begins */
	void (*write)(const void *data, size_t len);
	bool as_object; /* no lines: items are kept for removed_view_render() */
	bool dry_run;

	int64_t n;	   /* lines so far */
	int64_t reclaimed; /* bytes of files of the layers */
	int64_t freed;	   /* bytes on the disk */
	int64_t left_out;  /* items that no answer named */
	struct arena arena;
	struct value *items;
	size_t n_items, room;
};

/* A format that is none fails here, before anything is removed. removed_view_free() in any case. */
int removed_view_init(struct removed_view *v, const char *format, bool dry_run, struct err *err);
void removed_view_free(struct removed_view *v); /* also the cleanup function */

/* One answer. E_NO_MEMORY. */
int removed_view_add(struct removed_view *v, Imaged__V1__RemovedItem *const *items, size_t n, int64_t left_out,
		     int64_t freed, struct err *err);

/* "Total reclaimed space: 1.2MB", of a dry run with what the disk gets back. */
void removed_view_total(const struct removed_view *v);

/* {Removed: [{Action, Object, Size}], LeftOut, Reclaimed, Freed, DryRun}; sizes in bytes. */
int removed_view_render(const struct removed_view *v, const char *format, struct buf *out, struct err *err);

#endif
