#include "service/layer/erofs/path.h"

enum { SYMLINKS_MAX = 40 }; /* as the kernel's MAXSYMLINKS */

static const char whiteout[] = ".wh.";
static const char aufs[] = ".wh..wh.";
static const char opaque[] = ".wh..wh..opq";

/* ---- text ----------------------------------------------------------------------- */

/* Takes the next component; false at the end. */
static bool next_component(struct bytes *rest, struct bytes *ret_component)
{
	const uint8_t *slash;

	while (rest->len && *rest->data == '/') {
		rest->data++;
		rest->len--;
	}
	if (!rest->len)
		return false;
	slash = memchr(rest->data, '/', rest->len);
	*ret_component = (struct bytes){ rest->data, slash ? (size_t)(slash - rest->data) : rest->len };
	rest->data += ret_component->len;
	rest->len -= ret_component->len;
	return true;
}

static bool begins_with(struct bytes b, const char *text)
{
	return b.len >= strlen(text) && !memcmp(b.data, text, strlen(text));
}

static int fail_name(const char *what, struct bytes name, struct err *err)
{
	return fail(err, E_BAD_CONTENT, "layer has %s: '%.*s'", what, (int)min_size(name.len, 128),
		    (const char *)name.data);
}

/* Cuts the last component off. */
static size_t parent_len(const char *text, size_t len)
{
	while (len && text[len - 1] != '/')
		len--;
	return len ? len - 1 : 0;
}

static int clean(struct bytes name, struct erofs_path *p, size_t *ret_len, struct err *err)
{
	struct bytes rest = name, c;
	size_t len = 0;

	while (next_component(&rest, &c)) {
		if (tar_text_is(c, "."))
			continue;
		if (c.len > EROFS_NAME_MAX)
			return fail_name("a name with a part of more than 255 bytes", name, err);
		if (tar_text_is(c, "..")) {
			if (!len)
				return fail_name("a name that leads out of it", name, err);
			len = parent_len(p->text, len);
			continue;
		}
		if (len)
			p->text[len++] = '/';
		memcpy(p->text + len, c.data, c.len); /* never longer than the name */
		len += c.len;
	}
	*ret_len = len;
	return OK;
}

static void split(struct erofs_path *p, size_t len)
{
	size_t parents = parent_len(p->text, len), skip = parents ? parents + 1 : 0;

	p->parents = (struct bytes){ (const uint8_t *)p->text, parents };
	p->last = (struct bytes){ (const uint8_t *)p->text + skip, len - skip };
}

/* ---- whiteouts ------------------------------------------------------------------- */

/* What a component that is not the last one says: aufs's own, or nothing. */
static int judge_parents(struct erofs_path *p, struct bytes name, struct err *err)
{
	struct bytes rest = p->parents, c;

	while (next_component(&rest, &c)) {
		if (begins_with(c, aufs))
			p->kind = EROFS_PATH_AUFS;
		else if (begins_with(c, whiteout))
			return fail_name("an entry below a whiteout", name, err);
	}
	return OK;
}

static int judge_last(struct erofs_path *p, struct bytes name, struct err *err)
{
	if (p->kind != EROFS_PATH_PLAIN || !begins_with(p->last, whiteout))
		return OK;
	if (tar_text_is(p->last, opaque)) {
		p->kind = EROFS_PATH_OPAQUE;
		return OK;
	}
	if (begins_with(p->last, aufs)) {
		p->kind = EROFS_PATH_AUFS;
		return OK;
	}
	p->kind = EROFS_PATH_WHITEOUT;
	p->last.data += strlen(whiteout);
	p->last.len -= strlen(whiteout);
	if (!p->last.len || tar_text_is(p->last, ".") || tar_text_is(p->last, ".."))
		return fail_name("a whiteout of nothing", name, err);
	return OK;
}

int erofs_path_parse(struct bytes name, struct erofs_path *ret_path, struct err *err)
{
	size_t len = 0;
	int rc = clean(name, ret_path, &len, err);

	if (rc != OK)
		return rc;
	ret_path->kind = EROFS_PATH_PLAIN;
	split(ret_path, len);
	rc = judge_parents(ret_path, name, err);
	return rc == OK ? judge_last(ret_path, name, err) : rc;
}

/* ---- in the tree ------------------------------------------------------------------ */

/* Texts still to be walked: the path, and targets of symlinks that were met in it. */
struct walk {
	struct erofs_tree *tree;
	struct erofs_directory *at;
	bool create;
	unsigned symlinks;
	unsigned n; /* texts */
	struct bytes texts[SYMLINKS_MAX + 1];
};

static int follow(struct walk *w, const struct erofs_symlink *link, struct err *err)
{
	if (w->symlinks++ == SYMLINKS_MAX)
		return fail_name("too many symbolic links on the way to an entry", link->target, err);
	if (link->target.data[0] == '/')
		w->at = w->tree->root;
	w->texts[w->n++] = link->target;
	return OK;
}

static int make_directory(struct walk *w, struct bytes name, bool is_opaque, struct err *err)
{
	struct erofs_directory *made;
	int rc;

	if (!w->create)
		return fail_name("a hard link to a file that is not in it", name, err);
	if (name.len > EROFS_NAME_MAX)
		return fail_name("a name with a part of more than 255 bytes", name, err);
	rc = erofs_tree_make_directory(w->tree, w->at, name, &made, err);
	if (rc != OK)
		return rc;
	made->is_opaque = is_opaque;
	w->at = made;
	return OK;
}

static int enter(struct walk *w, struct bytes name, struct err *err)
{
	struct erofs_name *known;

	w->tree->steps++;
	if (tar_text_is(name, "."))
		return OK;
	if (tar_text_is(name, "..")) {
		w->at = w->at->parent;
		return OK;
	}
	known = erofs_tree_find(w->at, name);
	if (!known || known->inode->is_whiteout)
		return make_directory(w, name, known != NULL, err);
	if (known->inode->type == EROFS_TYPE_SYMLINK)
		return follow(w, erofs_symlink_of(known->inode), err);
	if (known->inode->type != EROFS_TYPE_DIRECTORY)
		return fail_name("an entry below something that is no directory", name, err);
	w->at = erofs_directory_of(known->inode);
	return OK;
}

int erofs_path_directory(const struct erofs_path *p, struct erofs_tree *t, bool create,
			 struct erofs_directory **ret_directory, struct err *err)
{
	struct walk w = { .tree = t, .at = t->root, .create = create, .n = 1, .texts = { p->parents } };
	struct bytes c;

	while (w.n) {
		int rc;

		if (!next_component(&w.texts[w.n - 1], &c)) {
			w.n--;
			continue;
		}
		rc = enter(&w, c, err);
		if (rc != OK)
			return rc;
	}
	*ret_directory = w.at;
	return OK;
}
