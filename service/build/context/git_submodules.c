#include "service/build/context/git_submodules.h"

enum { MODULES_MAX = 1024 * 1024, LINKS_MAX = 1024 * 1024, RECORD_MAX = 8192 };

/* ---- the tree ------------------------------------------------------------------------ */

/* Of `ls-tree -z`: "160000 commit SHA\tPATH". */
static bool is_link(const char *record)
{
	return !strncmp(record, "160000 commit ", 14);
}

/* Takes what is whole off the text: links go to `out`, as "SHA\tPATH" and a NUL. */
static int take_records(struct buf *text, struct buf *out, struct err *err)
{
	size_t at = 0;

	for (;;) {
		const uint8_t *end = at < text->len ? memchr(text->data + at, 0, text->len - at) : NULL;
		const char *record;

		if (!end)
			break;
		record = (const char *)text->data + at;
		if (is_link(record))
			buf_append(out, record + 14, strlen(record + 14) + 1);
		at = (size_t)(end - text->data) + 1;
	}
	if (at) {
		memmove(text->data, text->data + at, text->len - at);
		text->len -= at;
	}
	return buf_ok(out) ? OK : fail(err, E_LIMIT, "git: too many submodules");
}

static int read_links(const struct git *g, const char *commit, struct buf *out, struct err *err)
{
	const char *const args[] = { "ls-tree", "-r", "-z", "--full-tree", commit, NULL };
	CLEANUP(buf_free) struct buf text = BUF_INIT(GIT_PIECE_BYTES + RECORD_MAX);
	CLEANUP(git_end) struct git_process p;
	struct bytes data;
	int r = git_start(g, args, &p, err);

	while (r == OK && (r = git_read(&p, &data, err)) > 0) {
		if (!buf_append(&text, data.data, data.len))
			return fail(err, E_LIMIT, "git: a path is too long");
		r = take_records(&text, out, err);
	}
	return r;
}

/* ---- .gitmodules ------------------------------------------------------------------------ */

/* Of `config -z`: "submodule.NAME.KEY\nVALUE" and a NUL each. E_NOT_FOUND: there is none. */
static int read_modules(const struct git *g, const char *commit, struct buf *out, struct err *err)
{
	CLEANUP(freep) char *blob = format("%s:.gitmodules", commit);
	const char *const args[] = { "config", "--blob", blob, "-z", "--get-regexp", "^submodule\\..*\\.(path|url)$",
				     NULL };
	int r = blob ? git_run(g, args, out, err) : fail_nomem(err);

	return r == E_UNKNOWN ? E_NOT_FOUND : r;
}

/* The value of a key of the module whose name is `len` bytes at `name`. */
static const char *value_of(const struct buf *modules, const char *name, size_t len, const char *key)
{
	for (size_t at = 0; at < modules->len;) {
		const char *record = (const char *)modules->data + at, *line = strchr(record, '\n');

		at += strlen(record) + 1;
		if (line && !strncmp(record, name, len) && record[len] == '.' &&
		    (size_t)(line - record) == len + 1 + strlen(key) && !strncmp(record + len + 1, key, strlen(key)))
			return line + 1;
	}
	return NULL;
}

/* The URL of the module that lies at the path; NULL: none does. */
static const char *url_of(const struct buf *modules, const char *path)
{
	for (size_t at = 0; at < modules->len;) {
		const char *record = (const char *)modules->data + at, *line = strchr(record, '\n'), *dot;

		at += strlen(record) + 1;
		if (!line || strcmp(line + 1, path) != 0)
			continue;
		dot = memrchr(record, '.', (size_t)(line - record));
		if (dot && !strncmp(dot, ".path\n", 6))
			return value_of(modules, record, (size_t)(dot - record), "url");
	}
	return NULL;
}

/* "./x" and "../x" are relative to the repository's own URL, of which the host stays. */
static char *resolve(const char *remote, const char *url)
{
	const char *host = strstr(remote, "://");
	size_t len = strlen(remote), least = host ? (size_t)(host + 3 - remote) + strcspn(host + 3, "/") : 0;

	if (strncmp(url, "./", 2) != 0 && strncmp(url, "../", 3) != 0)
		return strdup(url);
	while (len > least && remote[len - 1] == '/')
		len--;
	for (;;) {
		if (!strncmp(url, "./", 2)) {
			url += 2;
		} else if (!strncmp(url, "../", 3)) {
			url += 3;
			while (len > least && remote[len - 1] != '/')
				len--;
			len -= len > least;
		} else {
			return format("%.*s/%s", (int)len, remote, url);
		}
	}
}

/* ---- both -------------------------------------------------------------------------------- */

int git_submodules(const struct git *g, const char *remote, const char *commit,
		   int (*visit)(void *arg, const struct git_submodule *m, struct err *err), void *arg, struct err *err)
{
	CLEANUP(buf_free) struct buf links = BUF_INIT(LINKS_MAX);
	CLEANUP(buf_free) struct buf modules = BUF_INIT(MODULES_MAX);
	int r = read_links(g, commit, &links, err);

	if (r != OK || !links.len)
		return r;
	r = read_modules(g, commit, &modules, err);
	if (r == E_NOT_FOUND)
		return OK;
	for (size_t at = 0; r == OK && at < links.len;) {
		char *link = (char *)links.data + at, *tab = strchr(link, '\t');
		const char *url = tab ? url_of(&modules, tab + 1) : NULL;
		CLEANUP(freep) char *absolute = url ? resolve(remote, url) : NULL;

		at += strlen(link) + 1;
		if (!url)
			continue;
		if (!absolute)
			return fail_nomem(err);
		*tab = 0;
		r = visit(arg, &(struct git_submodule){ tab + 1, link, absolute }, err);
	}
	return r;
}
