#include "service/build/git_ref.h"

#include "service/build/number.h"
#include "service/build/quote.h"
#include "store/types/path.h"

/* A text that is cut into its parts. */
struct parts {
	struct bytes remote, path, query, fragment;
};

/* ---- the parts ------------------------------------------------------------------ */

static void split_end(struct bytes text, struct parts *p)
{
	size_t hash = bytes_find(text, '#'), mark;

	p->fragment = bytes_from(text, hash + (hash < text.len));
	text.len = hash;
	mark = bytes_find(text, '?');
	p->query = bytes_from(text, mark + (mark < text.len));
	p->remote = bytes_first(text, mark);
}

static size_t scheme_len(struct bytes text)
{
	size_t n = 0;

	while (n < text.len && ((text.data[n] >= '0' && text.data[n] <= '9') ||
				((text.data[n] | 0x20) >= 'a' && (text.data[n] | 0x20) <= 'z')))
		n++;
	return n && bytes_begin(bytes_from(text, n), "://") ? n : 0;
}

static bool ends_with(struct bytes text, const char *end)
{
	size_t len = strlen(end);

	return text.len >= len && !memcmp(text.data + text.len - len, end, len);
}

/* "scheme://host/path" */
static int split_url(struct bytes text, size_t scheme, struct parts *p, struct git_ref *ref)
{
	struct bytes name = bytes_first(text, scheme), rest;
	bool http = bytes_are_nocase(name, "http") || bytes_are_nocase(name, "https");

	if (!http && !bytes_are_nocase(name, "ssh") && !bytes_are_nocase(name, "git"))
		return 0;
	ref->unencrypted = bytes_are_nocase(name, "http") || bytes_are_nocase(name, "git");
	split_end(text, p);
	rest = bytes_from(p->remote, min_size(scheme + 3, p->remote.len));
	p->path = bytes_from(rest, bytes_find(rest, '/'));
	return !http || ends_with(p->path, ".git");
}

/* "user@host:path", without a scheme. */
static int split_scp(struct bytes text, struct parts *p)
{
	size_t at = 0, colon;

	split_end(text, p);
	while (at < p->remote.len &&
	       (p->remote.data[at] == '_' || p->remote.data[at] == '-' || p->remote.data[at] == '.' ||
		(p->remote.data[at] >= '0' && p->remote.data[at] <= '9') ||
		((p->remote.data[at] | 0x20) >= 'a' && (p->remote.data[at] | 0x20) <= 'z')))
		at++;
	if (!at || at == p->remote.len || p->remote.data[at] != '@')
		return 0;
	colon = bytes_find(p->remote, ':');
	if (colon <= at + 1 || colon + 1 >= p->remote.len || bytes_find(bytes_first(p->remote, colon), '/') < colon)
		return 0;
	p->path = bytes_from(p->remote, colon + 1);
	return 1;
}

static int split(struct bytes text, struct parts *p, struct git_ref *ref)
{
	size_t scheme = scheme_len(text);

	if (bytes_begin(text, "./") || bytes_begin(text, "../"))
		return 0;
	if (bytes_begin(text, "github.com/")) {
		ref->like_a_path = true;
		split_end(text, p);
		p->path = p->remote;
		return 1;
	}
	return scheme ? split_url(text, scheme, p, ref) : split_scp(text, p);
}

/* ---- the query ------------------------------------------------------------------ */

static int keep_text(const char *name, const char *value, const char **text, struct err *err)
{
	struct quoted a, b;

	if (**text && strcmp(*text, value) != 0)
		return fail(err, E_INVALID, "%s conflicts: %s vs %s", name, quote_short(*text, &a),
			    quote_short(value, &b));
	*text = value;
	return OK;
}

static int keep_switch(const char *name, const char *value, enum tristate *to, struct err *err)
{
	struct quoted quoted;
	bool on = true;

	if (*value && !bool_parse(value, &on))
		return fail(err, E_INVALID, "invalid %s value: %s", name, quote_short(value, &quoted));
	*to = on ? ON : OFF;
	return OK;
}

/* What a query says of the ref comes after all else. */
struct names {
	const char *tag, *branch;
};

static int keep_prefixed(const char *prefix, const char *value, struct git_ref *ref, struct arena *a, struct err *err)
{
	const char *full = strncmp(value, prefix, strlen(prefix)) != 0 ? arena_printf(a, "%s%s", prefix, value) : value;

	return full ? keep_text("ref", full, &ref->ref, err) : fail_nomem(err);
}

static int keep_names(const struct names *n, struct git_ref *ref, struct arena *a, struct err *err)
{
	int r = n->tag ? keep_prefixed("refs/tags/", n->tag, ref, a, err) : OK;

	if (r == OK && n->tag && n->branch)
		return fail(err, E_INVALID, "branch conflicts with tag");
	return r == OK && n->branch ? keep_prefixed("refs/heads/", n->branch, ref, a, err) : r;
}

static int set_switch(const char *name, const char *value, struct git_ref *ref, bool *ret_is_one, struct err *err)
{
	enum tristate fetch = UNSET;
	int r;

	*ret_is_one = true;
	if (!strcmp(name, "keep-git-dir"))
		return keep_switch(name, value, &ref->keep_git_dir, err);
	if (!strcmp(name, "submodules"))
		return keep_switch(name, value, &ref->submodules, err);
	*ret_is_one = !strcmp(name, "fetch-by-commit");
	if (!*ret_is_one)
		return OK;
	r = keep_switch(name, value, &fetch, err);
	ref->fetch_by_commit = fetch == ON;
	return r;
}

static int set_mtime(const char *value, struct git_ref *ref, struct err *err)
{
	struct quoted quoted;

	if (strcmp(value, "checkout") != 0 && strcmp(value, "commit") != 0)
		return fail(err, E_INVALID, "invalid mtime value: %s (must be \"checkout\" or \"commit\")",
			    quote_short(value, &quoted));
	ref->mtime = value;
	return OK;
}

static int set_option(const char *name, const char *value, struct names *n, struct git_ref *ref, struct err *err)
{
	struct quoted quoted;
	bool is_switch;
	int r = set_switch(name, value, ref, &is_switch, err);

	if (r != OK || is_switch)
		return r;
	if (!*value)
		return fail(err, E_INVALID, "query %s has no value", quote_short(name, &quoted));
	if (!strcmp(name, "ref"))
		return keep_text(name, value, &ref->ref, err);
	if (!strcmp(name, "subdir"))
		return keep_text(name, value, &ref->subdir, err);
	if (!strcmp(name, "mtime"))
		return set_mtime(value, ref, err);
	if (!strcmp(name, "tag"))
		n->tag = value;
	else if (!strcmp(name, "branch"))
		n->branch = value;
	else if (!strcmp(name, "checksum") || !strcmp(name, "commit"))
		ref->checksum = value;
	else
		return fail(err, E_INVALID, "unexpected query %s", quote_short(name, &quoted));
	return OK;
}

static bool hex_digit(uint8_t c, unsigned *ret_value)
{
	unsigned letter = (unsigned)(c | 0x20) - 'a', digit = (unsigned)c - '0';

	*ret_value = digit < 10 ? digit : letter + 10;
	return digit < 10 || letter < 6;
}

/* "%xx" in front. */
static bool take_escape(struct bytes *text, char *ret_byte)
{
	unsigned high, low;

	if (text->len < 3 || text->data[0] != '%' || !hex_digit(text->data[1], &high) ||
	    !hex_digit(text->data[2], &low))
		return false;
	*ret_byte = (char)(high << 4 | low);
	*text = bytes_from(*text, 3);
	return true;
}

/* Without its %xx, and with blanks for '+'; in the arena. */
static char *unescape(struct bytes text, struct arena *a)
{
	char *out = arena_bytes(a, text), *to = out;

	while (out && text.len) {
		if (!take_escape(&text, to)) {
			*to = text.data[0] == '+' ? ' ' : (char)text.data[0];
			text = bytes_from(text, 1);
		}
		to++;
	}
	if (out)
		*to = 0;
	return out;
}

static int read_query(struct bytes query, struct git_ref *ref, struct arena *a, struct err *err)
{
	struct names names = { NULL, NULL };
	int r = OK;

	while (r == OK && query.len) {
		size_t len = bytes_find(query, '&');
		struct bytes one = bytes_first(query, len);
		size_t at = bytes_find(one, '=');
		const char *name = unescape(bytes_first(one, at), a);
		const char *value = unescape(bytes_from(one, at + (at < one.len)), a);

		if (!name || !value)
			return fail_nomem(err);
		r = one.len ? set_option(name, value, &names, ref, err) : OK;
		query = bytes_from(query, len + (len < query.len));
	}
	return r == OK ? keep_names(&names, ref, a, err) : r;
}

/* ---- the whole ------------------------------------------------------------------ */

/* "ref:dir" */
static int read_fragment(struct bytes fragment, struct git_ref *ref, struct arena *a, struct err *err)
{
	CLEANUP(buf_free) struct buf dir = BUF_INIT(fragment.len + 3);
	size_t colon = bytes_find(fragment, ':');
	const char *wanted = arena_bytes(a, bytes_from(fragment, colon + (colon < fragment.len)));

	ref->ref = arena_bytes(a, bytes_first(fragment, colon));
	if (!wanted || !ref->ref || (*wanted && !path_join("", wanted, &dir)))
		return fail_nomem(err);
	ref->subdir = dir.len ? arena_string(a, buf_text(&dir) + 1) : "";
	return ref->subdir ? OK : fail_nomem(err);
}

static int name_it(struct git_ref *ref, struct arena *a, struct err *err)
{
	const char *slash = strrchr(ref->remote, '/');
	struct bytes name = bytes_of(slash ? slash + 1 : ref->remote);

	name.len -= ends_with(name, ".git") ? 4 : 0;
	ref->short_name = arena_bytes(a, name);
	return ref->short_name ? OK : fail_nomem(err);
}

int git_ref_parse(const char *text, struct arena *a, struct git_ref *ret_ref, struct err *err)
{
	struct git_ref ref = { .ref = "", .subdir = "", .checksum = "", .mtime = "" };
	struct parts p;
	int r = split(bytes_of(text), &p, &ref);

	if (r == 0)
		return 0;
	ref.remote = arena_bytes(a, p.remote);
	if (!ref.remote)
		return fail_nomem(err);
	r = name_it(&ref, a, err);
	if (r == OK)
		r = read_fragment(p.fragment, &ref, a, err);
	if (r == OK)
		r = read_query(p.query, &ref, a, err);
	if (r != OK)
		return r;
	*ret_ref = ref;
	return 1;
}
