/*
 * The daemon's log: one line per event on stderr, as text or JSON. Only main,
 * the RPC boundary and the end of a transfer, which is no single call's, log;
 * everything below returns errors.
 *
 * Threads: after log_init(), log_line() from any thread; a line is one write.
 */
#ifndef SERVICE_LOG_H
#define SERVICE_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_init(enum log_level least, bool json);
/* False when the text is none of error, warn, info, debug. */
bool log_level_parse(const char *text, enum log_level *ret_level);

/* Control characters of the message are shown as \xNN, so that nothing from
 * outside can forge a line. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
