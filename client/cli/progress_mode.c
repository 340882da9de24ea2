#include "client/cli/progress_mode.h"

#include "client/cli/value/json.h"

enum { EVENT_BYTES_MAX = 64 * 1024 * 1024 };

int progress_mode_parse(const char *text, bool quiet, enum progress_mode *ret_mode, struct err *err)
{
	static const struct {
		const char *name;
		enum progress_mode mode;
	} modes[] = { { "auto", PROGRESS_AUTO }, { "plain", PROGRESS_PLAIN }, { "json", PROGRESS_JSON } };

	if (!text || !*text)
		text = "auto";
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		if (strcmp(modes[i].name, text) != 0)
			continue;
		if (quiet && modes[i].mode == PROGRESS_JSON)
			return fail(err, E_INVALID, "progress=json and quiet cannot be used together");
		*ret_mode = modes[i].mode;
		return OK;
	}
	return fail(err, E_INVALID, "invalid progress mode %.64s", text);
}

void progress_begin(struct progress *p, enum progress_mode mode)
{
	cli_progress(p);
	if (mode == PROGRESS_PLAIN)
		p->terminal = false;
}

void progress_stderr(const void *data, size_t len)
{
	const char *rest = data;

	while (len) {
		ssize_t n = write(STDERR_FILENO, rest, len);

		if (n < 0 && errno != EINTR)
			return;
		rest += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

int progress_json_event(progress_write *write, const ProtobufCMessage *event, struct err *err)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(EVENT_BYTES_MAX);

	event_json(event, &line);
	if (!buf_ok(&line))
		return fail_nomem(err);
	if (line.len)
		write(buf_text(&line), line.len);
	return OK;
}

int progress_json_error(progress_write *write, const struct err *why)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(EVENT_BYTES_MAX);

	buf_printf(&line, "{\"event\":\"error\",\"reason\":\"%s\",\"message\":", err_reason(why->code));
	json_put_string(&line, text_of(why->text), false);
	buf_puts(&line, "}\n");
	write(buf_text(&line), line.len);
	return err_exit_code(why->code);
}
