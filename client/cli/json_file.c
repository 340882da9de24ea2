#include "client/cli/json_file.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "client/cli/output_file.h"
#include "client/cli/path.h"
#include "client/cli/value/json.h"

static int read_fd(int fd, struct buf *out, struct err *err)
{
	for (;;) {
		void *room = buf_reserve(out, 4096);
		ssize_t n;

		if (!room)
			return fail(err, E_INVALID, "it is larger than %d bytes", JSON_FILE_MAX);
		n = read(fd, room, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "read");
		if (n == 0)
			return buf_append(out, "", 0) ? OK : fail_nomem(err);
		out->len += (size_t)n;
	}
}

static bool is_blank(const struct buf *text)
{
	return strspn(buf_text(text), " \t\r\n") == text->len;
}

static int parse(const struct buf *text, json_t **ret_json, struct err *err)
{
	json_error_t why;

	*ret_json = json_loadb(buf_text(text), text->len, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, &why);
	if (*ret_json)
		return OK;
	if (strstr(why.text, "end of file"))
		return fail(err, E_INVALID, "unexpected EOF");
	return fail(err, E_INVALID, "line %d: %s", why.line, why.text);
}

int json_file_read(const char *path, json_t **ret_json, struct err *err)
{
	CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	CLEANUP(buf_free) struct buf text = BUF_INIT(JSON_FILE_MAX);
	int r;

	*ret_json = NULL;
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return OK;
	if (fd < 0)
		return fail_errno(err, "open");
	r = read_fd(fd, &text, err);
	if (!r && !is_blank(&text))
		r = parse(&text, ret_json, err);
	if (text.data)
		wipe(text.data, text.len);
	return r;
}

/* ---- writing -------------------------------------------------------------- */

static void put(struct buf *out, const json_t *json, unsigned depth);

static void new_line(struct buf *out, unsigned depth)
{
	buf_putc(out, '\n');
	for (unsigned i = 0; i < depth; i++)
		buf_putc(out, '\t');
}

static void put_object(struct buf *out, json_t *json, unsigned depth)
{
	const char *key, *separator = "";
	json_t *value;

	buf_putc(out, '{');
	json_object_foreach(json, key, value)
	{
		buf_puts(out, separator);
		separator = ",";
		new_line(out, depth + 1);
		json_put_string(out, text_of(key), true);
		buf_puts(out, ": ");
		put(out, value, depth + 1);
	}
	if (*separator)
		new_line(out, depth);
	buf_putc(out, '}');
}

static void put_array(struct buf *out, const json_t *json, unsigned depth)
{
	size_t n = json_array_size(json);

	buf_putc(out, '[');
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_putc(out, ',');
		new_line(out, depth + 1);
		put(out, json_array_get(json, i), depth + 1);
	}
	if (n)
		new_line(out, depth);
	buf_putc(out, ']');
}

static void put_real(struct buf *out, const json_t *json)
{
	char *text = json_dumps(json, JSON_ENCODE_ANY);

	if (text)
		buf_puts(out, text);
	else
		out->failed = true;
	free(text);
}

static void put(struct buf *out, const json_t *json, unsigned depth)
{
	switch (json_typeof(json)) {
	case JSON_OBJECT:
		put_object(out, (json_t *)json, depth);
		break;
	case JSON_ARRAY:
		put_array(out, json, depth);
		break;
	case JSON_STRING:
		json_put_string(out, (struct text){ json_string_value(json), json_string_length(json) }, true);
		break;
	case JSON_INTEGER:
		buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
		break;
	case JSON_REAL:
		put_real(out, json);
		break;
	case JSON_TRUE:
		buf_puts(out, "true");
		break;
	case JSON_FALSE:
		buf_puts(out, "false");
		break;
	default:
		buf_puts(out, "null");
	}
}

/* Whose file it was it stays, also when root writes it (sudo), and who may read it
 * still may. Where the owner cannot be kept the file is for the user alone. */
static void keep_owner_and_mode(int fd, const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && fchown(fd, st.st_uid, st.st_gid) == 0)
		(void)!fchmod(fd, st.st_mode & 0777);
}

static int replace(const char *path, const struct buf *text, struct err *err)
{
	CLEANUP(output_file_drop) struct output_file f = OUTPUT_FILE_INIT;

	if (output_file_open(path, &f, err) < 0)
		return err->code;
	keep_owner_and_mode(f.fd, path);
	if (output_file_write(&f, text->data, text->len, err) < 0)
		return err->code;
	return output_file_finish(&f, err);
}

int json_file_write(const char *path, const json_t *json, struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(JSON_FILE_MAX);
	char target[PATH_MAX];
	int r;

	put(&text, json, 0);
	if (!buf_ok(&text))
		return fail_nomem(err);
	if (strlen(path) >= sizeof target)
		return fail(err, E_INVALID, "the path of the file is too long");
	if (!realpath(path, target))
		snprintf(target, sizeof target, "%s", path);
	r = make_directories_for(target, err);
	if (!r)
		r = replace(target, &text, err);
	wipe(text.data, text.len);
	return r ? err_wrap(err, "config file %s", path) : OK;
}
