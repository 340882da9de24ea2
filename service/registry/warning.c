#include "service/registry/warning.h"

#include <stdio.h>
#include <strings.h>

#include "service/registry/error_body.h"

/* The inside of a quoted string, without its backslashes. */
static bool unquote(const char *from, struct buf *out)
{
	for (; *from && *from != '"'; from++) {
		if (*from == '\\' && from[1])
			from++;
		buf_putc(out, *from);
	}
	return *from == '"' && buf_ok(out);
}

/* The agent may be a name or "-". */
bool warning_parse(const char *value, char *out, size_t size)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(HTTP_HEADER_BYTES_MAX);
	const char *agent, *quote;

	if (strncmp(value, "299 ", 4) != 0)
		return false;
	agent = value + 4 + strspn(value + 4, " \t");
	quote = agent + strcspn(agent, " \t");
	quote += strspn(quote, " \t");
	if (*quote != '"' || !unquote(quote + 1, &text))
		return false;
	text_clean(buf_bytes(&text), out, size);
	return *out != 0;
}

void warnings_init(struct warnings *w)
{
	pthread_mutex_init(&w->mu, NULL);
	w->lines = (struct buf)BUF_INIT(WARNINGS_MAX);
}

void warnings_destroy(struct warnings *w)
{
	pthread_mutex_destroy(&w->mu);
	buf_free(&w->lines);
}

static bool is_known(const struct buf *lines, const char *text)
{
	size_t len = strlen(text);

	for (const char *line = buf_text(lines); *line; line = strchr(line, '\n') + 1)
		if (!strncmp(line, text, len) && line[len] == '\n')
			return true;
	return false;
}

static void add(struct warnings *w, const char *text)
{
	size_t len = strlen(text);

	pthread_mutex_lock(&w->mu);
	if (w->lines.len + len + 1 <= WARNINGS_MAX && !is_known(&w->lines, text) && buf_reserve(&w->lines, len + 1))
		buf_printf(&w->lines, "%s\n", text);
	pthread_mutex_unlock(&w->mu);
}

void warnings_take(struct warnings *w, const struct http_response *response)
{
	char text[WARNINGS_MAX];

	for (size_t i = 0; i < response->n_headers; i++)
		if (!strcasecmp(response->headers[i].name, "Warning") &&
		    warning_parse(response->headers[i].value, text, sizeof text))
			add(w, text);
}

char *warnings_text(struct warnings *w, char *out, size_t size)
{
	size_t used = 0;

	*out = 0;
	pthread_mutex_lock(&w->mu);
	for (const char *line = buf_text(&w->lines); *line; line = strchr(line, '\n') + 1) {
		int len = (int)strcspn(line, "\n");

		if (used + (size_t)len + 3 > size)
			break;
		used += (size_t)snprintf(out + used, size - used, "%s%.*s", used ? "; " : "", len, line);
	}
	pthread_mutex_unlock(&w->mu);
	return out;
}
