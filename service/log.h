/*
 * The daemon's log: one line per event on stderr, as text or JSON. Only main,
 * the RPC boundary and the end of a transfer, which is no single call's, log;
 * everything below returns errors.
 *
 * The message says everything that a person wants. As JSON a line also has members for
 * programs: "time" (RFC 3339 with nanoseconds), "level", "msg", those of the context and
 * those that the event brings. A line has at most LOG_LINE_MAX bytes, so that a pipe takes
 * it as a whole; what is longer is cut.
 *
 * Threads: after log_init(), everything from any thread; a line is one write. Each
 * thread has a context of its own.
 */
#ifndef SERVICE_LOG_H
#define SERVICE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum { LOG_LINE_MAX = 4096, LOG_REQUEST_ID_MAX = 64, LOG_TRACE_ID_LEN = 32, LOG_SPAN_ID_LEN = 16 };

void log_init(enum log_level least, bool json);
/* False when the text is none of error, warn, info, debug. */
bool log_level_parse(const char *text, enum log_level *ret_level);

/* The call that a thread works for; "" is left out. Text shows the request's id alone. */
struct log_context {
	char request_id[LOG_REQUEST_ID_MAX + 1];
	char trace_id[LOG_TRACE_ID_LEN + 1], span_id[LOG_SPAN_ID_LEN + 1]; /* W3C traceparent */
};

/* Lines of this thread are the context's from now on; NULL: nobody's. It outlives its
 * stay. Gives the one before, to which the caller returns. */
const struct log_context *log_enter(const struct log_context *context);
/* This thread's; NULL for none. */
const struct log_context *log_current(void);

struct log_field {
	const char *name; /* [a-z_]+ */
	const char *text; /* NULL: the number */
	int64_t number;
};

/* Control characters of the message are shown as \xNN, so that nothing from
 * outside can forge a line. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* With members for programs. */
void log_event(enum log_level level, const struct log_field *fields, size_t n, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
