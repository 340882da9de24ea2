/*
 * Lines of progress, as docker's jsonmessage shows them (docker-cli.md 1.11): on a
 * terminal every ID has a line of its own, which is rewritten in place; elsewhere
 * each new status is printed once, and bars never.
 */
#ifndef CLIENT_CLI_PROGRESS_H
#define CLIENT_CLI_PROGRESS_H

#include "proto/runtime/buf.h"

struct progress {
	bool terminal;
	int width;	      /* of the terminal; the bar needs more than 110 */
	int (*measure)(void); /* the width now, as windows change; NULL: it stays */
	char **ids;	      /* in the order of their lines */
	size_t n;
	void (*write)(const void *data, size_t len);
};

struct progress_count {
	int64_t current, total; /* total <= 0: unknown */
};

void progress_free(struct progress *p);
/* A status of an ID; with a count it is one that changes often. */
int progress_status(struct progress *p, const char *id, const char *status, const struct progress_count *count,
		    struct err *err);
/* A line of its own; the lines above are not touched any more. */
void progress_line(struct progress *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "[===>   ] 1.2MB/3MB" */
void progress_bar(struct buf *out, const struct progress_count *count, int width);

#endif
