#include "service/log.h"

#include <stdarg.h>
#include <time.h>

#include "proto/runtime/buf.h"
#include "proto/runtime/utf8.h"

/* As they stand in the line. The members of the context and of a call fit behind the longest message. */
enum { MESSAGE_MAX = 2048, MESSAGE_END = 2560, VALUE_MAX = 256, NAME_MAX_BYTES = 32 };
enum { CHARACTER_MAX = 6, LINE_END_BYTES = 3 };

static enum log_level least_level = LOG_INFO;
static bool as_json;
static _Thread_local const struct log_context *current;

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

const struct log_context *log_enter(const struct log_context *context)
{
	const struct log_context *before = current;

	current = context;
	return before;
}

const struct log_context *log_current(void)
{
	return current;
}

static void put_time(struct buf *line)
{
	struct timespec now;
	struct tm utc;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	buf_printf(line, "%04d-%02d-%02dT%02d:%02d:%02d", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
		   utc.tm_min, utc.tm_sec);
	if (as_json)
		buf_printf(line, ".%09ldZ", now.tv_nsec);
	else
		buf_printf(line, ".%03ldZ", now.tv_nsec / 1000000);
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

/* Up to where the line has `end` bytes. */
static void put_text(struct buf *line, const char *text, size_t end)
{
	struct bytes left = bytes_of(text);

	while (left.len && line->len + CHARACTER_MAX <= end) {
		size_t n = put_character(line, left);

		left = (struct bytes){ left.data + n, left.len - n };
	}
}

/* ---- members ---- */

static void put_field(struct buf *line, const struct log_field *f)
{
	if (line->len + NAME_MAX_BYTES + VALUE_MAX + LINE_END_BYTES > LOG_LINE_MAX)
		return;
	buf_printf(line, ",\"%s\":", f->name);
	if (!f->text) {
		buf_printf(line, "%lld", (long long)f->number);
		return;
	}
	buf_putc(line, '"');
	put_text(line, f->text, line->len + VALUE_MAX);
	buf_putc(line, '"');
}

static void put_context(struct buf *line, const struct log_context *c)
{
	const struct log_field fields[] = {
		{ .name = "request_id", .text = c->request_id },
		{ .name = "trace_id", .text = c->trace_id },
		{ .name = "span_id", .text = c->span_id },
	};

	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (*fields[i].text)
			put_field(line, &fields[i]);
}

/* ---- lines ---- */

static void put_json(struct buf *line, enum log_level level, const struct log_field *fields, size_t n,
		     const char *message)
{
	buf_puts(line, "{\"time\":\"");
	put_time(line);
	buf_printf(line, "\",\"level\":\"%s\",\"msg\":\"", names[level]);
	put_text(line, message, MESSAGE_END);
	buf_putc(line, '"');
	if (current)
		put_context(line, current);
	for (size_t i = 0; i < n; i++)
		put_field(line, &fields[i]);
	buf_puts(line, "}\n");
}

static void put_plain(struct buf *line, enum log_level level, const char *message)
{
	put_time(line);
	buf_printf(line, " %-5s ", names[level]);
	put_text(line, message, MESSAGE_END);
	if (current && *current->request_id)
		buf_printf(line, " request_id=%s", current->request_id);
	buf_putc(line, '\n');
}

static void say(enum log_level level, const struct log_field *fields, size_t n, const char *fmt, va_list ap)
	__attribute__((format(printf, 4, 0)));

static void say(enum log_level level, const struct log_field *fields, size_t n, const char *fmt, va_list ap)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(LOG_LINE_MAX);
	char message[MESSAGE_MAX];

	if (level > least_level)
		return;
	vsnprintf(message, sizeof message, fmt, ap);
	if (as_json)
		put_json(&line, level, fields, n, message);
	else
		put_plain(&line, level, message);
	if (buf_ok(&line) && write(STDERR_FILENO, line.data, line.len) < 0)
		return; /* nowhere to say it */
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(level, NULL, 0, fmt, ap);
	va_end(ap);
}

void log_event(enum log_level level, const struct log_field *fields, size_t n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(level, fields, n, fmt, ap);
	va_end(ap);
}
