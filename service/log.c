#include "service/log.h"

#include <stdarg.h>
#include <time.h>

#include "proto/runtime/buf.h"
#include "proto/runtime/utf8.h"

enum { MESSAGE_MAX = 2048, LINE_MAX_BYTES = 16 * 1024 };

static enum log_level least_level = LOG_INFO;
static bool as_json;

static const char *const names[] = { "error", "warn", "info", "debug" };

void log_init(enum log_level least, bool json)
{
	least_level = least;
	as_json = json;
}

bool log_level_parse(const char *text, enum log_level *ret_level)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!strcmp(text, names[i])) {
			*ret_level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

static void put_time(struct buf *line)
{
	struct timespec now;
	struct tm utc;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	buf_printf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
		   utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec / 1000000);
}

/* One character, or one byte that is none. How many bytes it took. */
static size_t put_character(struct buf *line, struct bytes at)
{
	uint32_t rune = 0;
	size_t n = utf8_rune(at, &rune);

	if (!n) {
		buf_puts(line, as_json ? "\xef\xbf\xbd" : "?"); /* U+FFFD */
		return 1;
	}
	if (as_json && (rune == '"' || rune == '\\'))
		buf_printf(line, "\\%c", (char)rune);
	else if (rune < 0x20 || rune == 0x7f)
		buf_printf(line, as_json ? "\\u%04x" : "\\x%02x", (unsigned)rune);
	else
		buf_append(line, at.data, n);
	return n;
}

static void put_message(struct buf *line, const char *message)
{
	struct bytes left = bytes_of(message);

	while (left.len) {
		size_t n = put_character(line, left);

		left = (struct bytes){ left.data + n, left.len - n };
	}
}

void log_line(enum log_level level, const char *fmt, ...)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(LINE_MAX_BYTES);
	char message[MESSAGE_MAX];
	va_list ap;

	if (level > least_level)
		return;
	va_start(ap, fmt);
	vsnprintf(message, sizeof message, fmt, ap);
	va_end(ap);
	buf_puts(&line, as_json ? "{\"time\":\"" : "");
	put_time(&line);
	if (as_json)
		buf_printf(&line, "\",\"level\":\"%s\",\"msg\":\"", names[level]);
	else
		buf_printf(&line, " %-5s ", names[level]);
	put_message(&line, message);
	buf_puts(&line, as_json ? "\"}\n" : "\n");
	if (buf_ok(&line) && write(STDERR_FILENO, line.data, line.len) < 0)
		return; /* nowhere to say it */
}
