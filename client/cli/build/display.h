/* The displays, each a pair of functions over a trace; see progress.h. */
#ifndef CLIENT_CLI_BUILD_DISPLAY_H
#define CLIENT_CLI_BUILD_DISPLAY_H

#include "client/cli/build/progress.h"
#include "client/cli/build/trace.h"

struct build_progress {
	struct build_progress_options options;
	struct trace trace;
	struct buf out;
	int64_t began, displayed; /* here; 0: not yet */

	/* PLAIN */
	struct trace_vertex *current; /* whose lines are printed */
	int64_t current_since;
	unsigned shown; /* numbers given */
	bool first_is_out;

	/* TTY */
	int lines;   /* of the table as it stands on the terminal */
	bool repeat; /* a table was drawn */
};

/* What a step wrote. */
void display_log(struct build_progress *p, const char *text, size_t len);

/* Of all that changed since the last time. */
void plain_show(struct build_progress *p, int64_t now_ns);

void tty_show(struct build_progress *p, bool last, int64_t now_ns);
void tty_break(struct build_progress *p);

/* One event, at once. */
void rawjson_show(struct build_progress *p, const Imaged__V1__BuildEvent *event, int64_t now_ns);

#endif
