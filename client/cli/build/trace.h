/*
 * A build as its events told it so far: steps, what they write, transfers, warnings. What the
 * displays show (progress.h) is made of this.
 *
 * All times are nanoseconds since 1970, of the service's clock but for `seen`. One thread.
 */
#ifndef CLIENT_CLI_BUILD_TRACE_H
#define CLIENT_CLI_BUILD_TRACE_H

#include "imaged/v1/build.pb-c.h"
#include "proto/runtime/buf.h"

#define TRACE_TIME_MAX (INT64_C(1) << 62)

enum {
	TRACE_VERTICES_MAX = 50 * 1000,
	TRACE_STATUSES_MAX = 4 * 1024, /* of one step */
	TRACE_WARNINGS_MAX = 4 * 1024,
	TRACE_LINE_MAX = 16 * 1024, /* a longer one is shown in parts */
	TRACE_TAIL = 10,	    /* last lines, shown with a failure */
	TRACE_MUCH = 256 * 1024,    /* lines that want to be displayed now */
	TRACE_PENDING_MAX = 4 * 1024 * 1024,
};

struct trace_status {
	char *id;
	int64_t current, total;
	int64_t started, last; /* as told: of the service's clock where it has one, else of ours */
	bool done, changed;
};

struct trace_vertex {
	uint32_t number; /* of the service */
	unsigned shown;	 /* of the plain display; 0: not yet */
	char *name, *digest, *error;
	enum _Imaged__V1__Step__State state;
	int64_t started, ended; /* of the last time; 0 */
	int64_t spent;		/* the times before the last, and that when it has ended */
	int64_t seen;		/* when the start came here */
	bool updated;		/* since it was displayed */

	struct trace_status *statuses;
	size_t n_statuses, statuses_capacity;

	struct buf line;    /* what has no newline yet */
	int64_t line_time;  /* of its first byte, since the start */
	struct buf pending; /* "SECONDS TEXT\n"…, not yet displayed */
	char *tail[TRACE_TAIL];
	size_t n_lines; /* ever; tail[n % TRACE_TAIL] */

	char **changed; /* --explain */
	size_t n_changed, changed_shown;
};

struct trace_warning {
	char *text; /* "RULE: message (line N)" */
	char *rule, *url, *description;
	char *excerpt;
	uint32_t line;
	bool is_error, shown;
};

struct trace {
	struct trace_vertex **vertices; /* in the order in which they were told */
	size_t n, capacity;
	struct trace_warning *warnings;
	size_t n_warnings, warnings_capacity;
	struct trace_vertex *latest; /* whom the last event was about */
};

/* Of a message, as nanoseconds since 1970; `otherwise` when it has none. */
int64_t trace_time(const Google__Protobuf__Timestamp *t, int64_t otherwise);

void trace_free(struct trace *t);
/* ret_taken: it was progress. */
int trace_event(struct trace *t, const Imaged__V1__BuildEvent *event, int64_t now_ns, bool *ret_taken, struct err *err);
/* The last event brought so many lines that the display must not wait. */
bool trace_has_much(const struct trace *t);
/* What runs ends as cancelled; what is written so far becomes a line. */
void trace_end(struct trace *t, bool canceled, int64_t now_ns);

static inline bool vertex_has_ended(const struct trace_vertex *v)
{
	return v->state > IMAGED__V1__STEP__STATE__STATE_RUNNING;
}

static inline bool vertex_runs(const struct trace_vertex *v)
{
	return v->state == IMAGED__V1__STEP__STATE__STATE_RUNNING;
}

/* Inside of trace*.c: moves a step that was told just now to its place. */
void trace_place(struct trace *t, struct trace_vertex *v);

/* Seconds that it has taken so far. */
double vertex_seconds(const struct trace_vertex *v, int64_t now_ns);

/* "1.49kB", as BuildKit's units write it. */
enum { TRANSFER_TEXT_MAX = 48 };
char *transfer_bytes(int64_t bytes, char out[TRANSFER_TEXT_MAX]);

#endif
