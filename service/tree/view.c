#include "service/tree/view.h"

#include <sys/stat.h>

#include "service/tree/tree_state.h"
#include "store/types/text.h"

enum { ROOM_MIN = 16, REST_MAX = 2 * TREE_PATH_MAX };

/* A directory on the way: its parts are those up to the next one's. */
struct level {
	size_t first;
	size_t path_len;
};

struct tree_view {
	struct cancel *cancel;
	struct tree_layers layers;
	/* The directories on the way to the last path, the root's in front. */
	struct buf path;
	struct level *levels;
	size_t n_levels, levels_room;
	struct tree_part *parts;
	size_t n_parts, parts_room;
};

/* ---- life ------------------------------------------------------------------------------- */

static int push_level(struct tree_view *v, struct err *err)
{
	if (v->n_levels == v->levels_room) {
		size_t room = v->levels_room ? 2 * v->levels_room : ROOM_MIN;
		struct level *levels = reallocarray(v->levels, room, sizeof *levels);

		if (!levels)
			return fail_nomem(err);
		v->levels = levels;
		v->levels_room = room;
	}
	v->levels[v->n_levels++] = (struct level){ v->n_parts, v->path.len };
	return OK;
}

static int push_part(struct tree_view *v, size_t layer, const struct erofs_node *node, struct err *err)
{
	if (v->n_parts == TREE_OPEN_MAX)
		return fail(err, E_LIMIT, "the image's directories are too deep");
	if (v->n_parts == v->parts_room) {
		size_t room = v->parts_room ? 2 * v->parts_room : ROOM_MIN;
		struct tree_part *parts = reallocarray(v->parts, room, sizeof *parts);

		if (!parts)
			return fail_nomem(err);
		v->parts = parts;
		v->parts_room = room;
	}
	v->parts[v->n_parts++] = (struct tree_part){ layer, *node };
	return OK;
}

static int open_root(struct tree_view *v, struct err *err)
{
	int rc = push_level(v, err);

	if (rc == OK)
		rc = tree_layers_root(&v->layers, &v->parts, &v->n_parts, err);
	v->parts_room = v->n_parts;
	return rc;
}

int tree_view_open(const int *fds, size_t n, bool checked, struct cancel *cancel, struct tree_view **ret_view,
		   struct err *err)
{
	CLEANUP(tree_view_closep) struct tree_view *v = calloc(1, sizeof *v);
	int rc;

	if (!v) {
		for (size_t i = 0; i < n; i++)
			close(fds[i]);
		return fail_nomem(err);
	}
	v->cancel = cancel;
	v->path = (struct buf)BUF_INIT(TREE_PATH_MAX);
	rc = tree_layers_open(&v->layers, fds, n, checked, cancel, err);
	if (rc == OK)
		rc = open_root(v, err);
	if (rc == OK)
		*ret_view = TAKE(v);
	return rc;
}

void tree_view_close(struct tree_view *v)
{
	if (!v)
		return;
	tree_layers_close(&v->layers);
	buf_free(&v->path);
	free(v->levels);
	free(v->parts);
	free(v);
}

void tree_view_closep(struct tree_view **v)
{
	tree_view_close(*v);
}

/* ---- one name of a directory ------------------------------------------------------------- */

static const struct level *top(const struct tree_view *v)
{
	return &v->levels[v->n_levels - 1];
}

static int fail_missing(struct bytes path, struct err *err)
{
	return fail(err, E_NOT_FOUND, "\"/%.*s\": not found", (int)min_size(path.len, 512), (const char *)path.data);
}

/* What the directory's part `at` has of that name. */
static int find_in_part(struct tree_view *v, size_t at, struct bytes name, bool *ret_found, struct erofs_node *ret_node,
			struct err *err)
{
	const struct tree_part *part = &v->parts[at];
	struct erofs_reader *r = v->layers.readers[part->layer];
	struct erofs_entry e;
	int rc = erofs_find(r, &part->node, name, ret_found, &e, err);

	return rc == OK && *ret_found ? erofs_read_node(r, e.nid, e.type, ret_node, err) : rc;
}

/* The uppermost of that name, and which part of the innermost directory has it. */
static int find(struct tree_view *v, struct bytes name, bool *ret_found, size_t *ret_at, struct erofs_node *ret_node,
		struct err *err)
{
	int rc = OK;

	*ret_found = false;
	for (size_t i = top(v)->first; rc == OK && !*ret_found && i < v->n_parts; i++) {
		*ret_at = i;
		rc = find_in_part(v, i, name, ret_found, ret_node, err);
	}
	if (rc == OK && *ret_found && erofs_node_is_whiteout(ret_node))
		*ret_found = false;
	return rc;
}

/* Opens the directory that part `at` has: its own, and those below that have a share in it. */
static int enter(struct tree_view *v, struct bytes name, size_t at, struct erofs_node node, struct err *err)
{
	size_t end = v->n_parts;
	bool found = true;
	int rc = OK;

	if ((v->path.len && !buf_putc(&v->path, '/')) || !buf_append(&v->path, name.data, name.len))
		return fail(err, E_LIMIT, "a path of the image has more than %d bytes", TREE_PATH_MAX);
	rc = push_level(v, err);
	while (rc == OK) {
		if (found)
			rc = push_part(v, v->parts[at].layer, &node, err);
		if (rc != OK || node.is_opaque || ++at == end)
			break;
		rc = find_in_part(v, at, name, &found, &node, err);
		if (rc == OK && found && !S_ISDIR(node.mode))
			break;
	}
	return rc;
}

/* ---- the way there ----------------------------------------------------------------------- */

static void leave(struct tree_view *v)
{
	v->n_parts = v->levels[--v->n_levels].first;
	v->path.len = top(v)->path_len;
}

static bool is_at_or_below(struct bytes directory, struct bytes path)
{
	if (!directory.len)
		return true;
	return path.len >= directory.len && !memcmp(path.data, directory.data, directory.len) &&
	       (path.len == directory.len || path.data[directory.len] == '/');
}

static struct bytes take_component(struct bytes *rest)
{
	const uint8_t *slash = rest->len ? memchr(rest->data, '/', rest->len) : NULL;
	struct bytes name = { rest->data, slash ? (size_t)(slash - rest->data) : rest->len };
	size_t skip = name.len + (slash != NULL);

	*rest = (struct bytes){ rest->data ? rest->data + skip : NULL, rest->len - skip };
	return name;
}

static int enter_component(struct tree_view *v, struct bytes name, struct bytes path, struct err *err)
{
	struct erofs_node node;
	size_t at, levels;
	bool found;
	int rc = find(v, name, &found, &at, &node, err);

	if (rc == OK && (!found || !S_ISDIR(node.mode)))
		return fail_missing(path, err);
	if (rc != OK)
		return rc;
	levels = v->n_levels;
	rc = enter(v, name, at, node, err);
	if (rc != OK && v->n_levels > levels)
		leave(v); /* half of a directory is none */
	v->path.len = rc == OK ? v->path.len : top(v)->path_len;
	return rc;
}

/* The path's directory becomes the innermost one. */
static int open_directory(struct tree_view *v, struct bytes path, struct err *err)
{
	struct bytes rest;
	int rc = cancel_check(v->cancel, err);

	while (v->n_levels > 1 && !is_at_or_below(buf_bytes(&v->path), path))
		leave(v);
	rest = path.len ? (struct bytes){ path.data + v->path.len, path.len - v->path.len } : path;
	if (rest.len && v->path.len)
		take_component(&rest); /* the slash */
	while (rc == OK && rest.len)
		rc = enter_component(v, take_component(&rest), path, err);
	return rc;
}

static struct bytes parent_of(struct bytes path)
{
	while (path.len && path.data[path.len - 1] != '/')
		path.len--;
	path.len -= path.len != 0;
	return path;
}

static struct tree_entry root_entry(const struct tree_view *v)
{
	struct tree_entry e = { .node = { .mode = S_IFDIR | 0755, .links = 2 }, .layer = SIZE_MAX };

	if (v->layers.n) {
		e.layer = v->parts[0].layer;
		e.node = v->parts[0].node;
		e.reader = v->layers.readers[e.layer];
	}
	return e;
}

int tree_view_lookup(struct tree_view *v, struct bytes path, struct tree_entry *ret_entry, struct err *err)
{
	struct tree_entry e = root_entry(v);
	struct bytes directory = parent_of(path), name = path;
	bool found;
	size_t at;
	int rc;

	if (path.len) {
		rc = open_directory(v, directory, err);
		if (rc != OK)
			return rc == E_NOT_FOUND ? fail_missing(path, err) : rc;
		if (directory.len)
			name = (struct bytes){ path.data + directory.len + 1, path.len - directory.len - 1 };
		rc = find(v, name, &found, &at, &e.node, err);
		if (rc != OK || !found)
			return rc == OK ? fail_missing(path, err) : rc;
		e.layer = v->parts[at].layer;
		e.reader = v->layers.readers[e.layer];
	}
	e.path = path;
	*ret_entry = e;
	return OK;
}

int tree_view_walk(struct tree_view *v, struct bytes directory, struct tree **ret_walk, struct err *err)
{
	int rc = open_directory(v, directory, err);

	if (rc != OK)
		return rc;
	return tree_walk_new(&v->layers, v->parts + top(v)->first, v->n_parts - top(v)->first, v->cancel, ret_walk,
			     err);
}

/* ---- links --------------------------------------------------------------------------------- */

struct resolving {
	struct tree_view *view;
	struct buf *done; /* where we are, from `from` on */
	size_t from;
	struct buf rest[2]; /* what is left to go, in turns */
	size_t now, at;	    /* which of both, and how much of it was taken */
	int links;
	bool follow_last, found;
	struct tree_entry entry;
};

static struct bytes done_path(const struct resolving *r)
{
	return (struct bytes){ r->done->data + r->from, r->done->len - r->from };
}

static int fail_long(struct err *err)
{
	return fail(err, E_LIMIT, "a path through symbolic links of the image is too long");
}

/* Slashes and single dots are nothing to go. */
static bool has_more(const struct resolving *r)
{
	const struct buf *rest = &r->rest[r->now];
	struct bytes left = { rest->data + r->at, rest->len - r->at };

	while (left.len) {
		struct bytes name = take_component(&left);

		if (name.len && !bytes_are(name, "."))
			return true;
	}
	return false;
}

static void cut_done(struct resolving *r, size_t len)
{
	r->done->len = r->from + len;
	if (r->done->data)
		r->done->data[r->done->len] = 0;
}

static void go_up(struct resolving *r)
{
	if (r->done->data)
		cut_done(r, parent_of(done_path(r)).len);
}

/* The link's target takes the place of its name. */
static int follow(struct resolving *r, struct err *err)
{
	const struct buf *rest = &r->rest[r->now];
	struct buf *next = &r->rest[!r->now];
	uint8_t target[EROFS_TARGET_MAX];
	size_t len = min_size(r->entry.node.size, EROFS_TARGET_MAX);
	int rc;

	if (++r->links > TREE_LINKS_MAX)
		return fail(err, E_LIMIT, "too many levels of symbolic links at \"/%.*s\"",
			    (int)min_size(done_path(r).len, 512), (const char *)done_path(r).data);
	rc = erofs_read_target(r->entry.reader, &r->entry.node, target, err);
	if (rc != OK)
		return rc;
	buf_reset(next);
	buf_append(next, target, len);
	buf_putc(next, '/');
	buf_append(next, rest->data + r->at, rest->len - r->at);
	if (!buf_ok(next))
		return fail_long(err);
	if (len && target[0] == '/')
		cut_done(r, 0);
	else
		go_up(r);
	r->now = !r->now;
	r->at = 0;
	return OK;
}

static int step(struct resolving *r, struct bytes name, struct err *err)
{
	struct err why = ERR_INIT;
	int rc;

	if ((r->done->len > r->from && !buf_putc(r->done, '/')) || !buf_append(r->done, name.data, name.len))
		return fail_long(err);
	rc = tree_view_lookup(r->view, done_path(r), &r->entry, &why);
	r->found = rc == OK;
	if (rc != OK)
		return rc == E_NOT_FOUND ? OK : fail(err, rc, "%s", why.text);
	return S_ISLNK(r->entry.node.mode) && (r->follow_last || has_more(r)) ? follow(r, err) : OK;
}

static int resolve(struct resolving *r, struct err *err)
{
	int rc = OK;

	while (rc == OK && r->at < r->rest[r->now].len) {
		const struct buf *rest = &r->rest[r->now];
		struct bytes left = { rest->data + r->at, rest->len - r->at }, name = take_component(&left);

		r->at = rest->len - left.len;
		if (!name.len || bytes_are(name, "."))
			continue;
		if (bytes_are(name, ".."))
			go_up(r);
		else
			rc = step(r, name, err);
	}
	return rc;
}

int tree_view_resolve(struct tree_view *v, struct bytes path, bool follow_last, struct buf *out, bool *ret_found,
		      struct tree_entry *ret_entry, struct err *err)
{
	struct resolving r = {
		.view = v,
		.done = out,
		.from = out->len,
		.rest = { BUF_INIT(REST_MAX), BUF_INIT(REST_MAX) },
		.follow_last = follow_last,
	};
	int rc = buf_append(out, "", 0) && buf_append(&r.rest[0], path.data, path.len) ? resolve(&r, err)
										       : fail_long(err);

	buf_free(&r.rest[0]);
	buf_free(&r.rest[1]);
	if (rc != OK)
		return rc;
	rc = tree_view_lookup(v, done_path(&r), ret_entry, err); /* "..": where it ended may be above the last step */
	*ret_found = rc == OK;
	return rc == E_NOT_FOUND ? OK : rc;
}

/* ---- files ----------------------------------------------------------------------------------- */

int tree_read_all(const struct tree_entry *e, size_t max, char **ret_data, size_t *ret_len, struct err *err)
{
	CLEANUP(freep) char *data = NULL;
	int rc;

	if (e->node.size > max)
		return fail(err, E_LIMIT, "\"/%.*s\" has more than %zu bytes", (int)min_size(e->path.len, 512),
			    (const char *)e->path.data, max);
	data = calloc(1, e->node.size + 1);
	if (!data)
		return fail_nomem(err);
	rc = erofs_read_data(e->reader, &e->node, 0, (uint8_t *)data, e->node.size, err);
	if (rc != OK)
		return rc;
	*ret_len = e->node.size;
	*ret_data = TAKE(data);
	return OK;
}
