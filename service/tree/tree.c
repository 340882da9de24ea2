#include "service/tree/tree.h"

#include <sys/stat.h>

#include "service/layer/erofs/check.h"
#include "service/tree/tree_state.h"

enum { CACHED_MIN = 4, CACHED_OF_LAYER = 64, OPEN_MIN = 16 };

/* A directory of one layer. */
struct source {
	struct erofs_cursor at;
	size_t layer;
};

/* A directory of the tree that is open: sources first to the next one's first, the
 * uppermost layer's in front. */
struct level {
	size_t first;
	size_t path_len; /* of the directory's path */
};

struct tree {
	struct cancel *cancel;
	struct tree_layers layers;     /* of a tree of its own */
	struct erofs_reader **readers; /* lowest first */
	struct tree_part *root;	       /* what the walk begins with, uppermost layer's first */
	size_t n_root;

	struct source *sources; /* a stack, in pieces of one level each */
	size_t n_sources, sources_room;
	struct level *levels;
	size_t n_levels, levels_room;

	size_t *having; /* sources that have the name at hand, uppermost layer's first */
	size_t n_having;
	bool begun;
	struct buf path;
	struct tree_entry entry;
};

/* ---- life ------------------------------------------------------------------------------- */

static void close_from(const int *fds, size_t from, size_t n)
{
	for (size_t i = from; i < n; i++)
		close(fds[i]);
}

static size_t cached_for(size_t layers)
{
	size_t each = TREE_CACHED_MAX / layers; /* there are some */

	return each < CACHED_MIN ? CACHED_MIN : min_size(each, CACHED_OF_LAYER);
}

static int open_readers(struct tree_layers *l, const int *fds, size_t n, bool checked, struct cancel *cancel,
			struct err *err)
{
	struct erofs_summary summary;
	int rc = OK;

	l->readers = calloc(n + 1, sizeof(*l->readers));
	if (!l->readers)
		return fail_nomem(err);
	while (rc == OK && l->n < n) {
		if (!checked)
			rc = erofs_check(fds[l->n], UINT64_MAX, cancel, &summary, err);
		if (rc != OK)
			break;
		rc = erofs_reader_open(fds[l->n], cached_for(n), &l->readers[l->n], err);
		l->n++;
	}
	return rc;
}

int tree_layers_open(struct tree_layers *l, const int *fds, size_t n, bool checked, struct cancel *cancel,
		     struct err *err)
{
	int rc = n > TREE_LAYERS_MAX ? fail(err, E_LIMIT, "an image of %zu layers has no tree", n)
				     : open_readers(l, fds, n, checked, cancel, err);

	close_from(fds, l->n, n);
	return rc;
}

void tree_layers_close(struct tree_layers *l)
{
	for (size_t i = 0; i < l->n; i++)
		erofs_reader_close(l->readers[i]);
	free(TAKE(l->readers));
	l->n = 0;
}

/* All layers have a root; one that is opaque hides those below. */
int tree_layers_root(const struct tree_layers *l, struct tree_part **ret_root, size_t *ret_n, struct err *err)
{
	CLEANUP(freep) struct tree_part *root = calloc(l->n + 1, sizeof *root);
	size_t n = 0;

	if (!root)
		return fail_nomem(err);
	for (size_t i = l->n; i-- > 0 && (!n || !root[n - 1].node.is_opaque);) {
		int rc = erofs_read_root(l->readers[i], &root[n].node, err);

		if (rc != OK)
			return rc;
		root[n++].layer = i;
	}
	*ret_root = TAKE(root);
	*ret_n = n;
	return OK;
}

static struct tree *tree_new(struct cancel *cancel)
{
	struct tree *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->cancel = cancel;
	t->path = (struct buf)BUF_INIT(TREE_PATH_MAX);
	return t;
}

static int set_root(struct tree *t, const struct tree_layers *layers, struct err *err)
{
	t->readers = layers->readers;
	t->begun = !t->n_root; /* then there is no root either */
	t->having = calloc(t->n_root + 1, sizeof *t->having);
	return t->having ? OK : fail_nomem(err);
}

int tree_open(const int *fds, size_t n, struct cancel *cancel, struct tree **ret_tree, struct err *err)
{
	CLEANUP(tree_closep) struct tree *t = tree_new(cancel);
	int rc;

	if (!t) {
		close_from(fds, 0, n);
		return fail_nomem(err);
	}
	rc = tree_layers_open(&t->layers, fds, n, false, cancel, err);
	if (rc == OK)
		rc = tree_layers_root(&t->layers, &t->root, &t->n_root, err);
	if (rc == OK)
		rc = set_root(t, &t->layers, err);
	if (rc == OK)
		*ret_tree = TAKE(t);
	return rc;
}

int tree_walk_new(const struct tree_layers *layers, const struct tree_part *root, size_t n, struct cancel *cancel,
		  struct tree **ret_tree, struct err *err)
{
	CLEANUP(tree_closep) struct tree *t = tree_new(cancel);
	int rc;

	if (!t)
		return fail_nomem(err);
	t->root = calloc(n + 1, sizeof *t->root);
	if (!t->root)
		return fail_nomem(err);
	if (n)
		memcpy(t->root, root, n * sizeof *root);
	t->n_root = n;
	rc = set_root(t, layers, err);
	if (rc == OK)
		*ret_tree = TAKE(t);
	return rc;
}

void tree_close(struct tree *t)
{
	if (!t)
		return;
	tree_layers_close(&t->layers);
	free(t->root);
	free(t->having);
	free(t->sources);
	free(t->levels);
	buf_free(&t->path);
	free(t);
}

void tree_closep(struct tree **t)
{
	tree_close(*t);
}

/* ---- the stack of open directories -------------------------------------------------------- */

static int push_level(struct tree *t, struct err *err)
{
	if (t->n_levels == t->levels_room) {
		size_t room = t->levels_room ? 2 * t->levels_room : OPEN_MIN;
		struct level *levels = reallocarray(t->levels, room, sizeof *levels);

		if (!levels)
			return fail_nomem(err);
		t->levels = levels;
		t->levels_room = room;
	}
	t->levels[t->n_levels++] = (struct level){ t->n_sources, t->path.len };
	return OK;
}

static int push_source(struct tree *t, size_t layer, const struct erofs_node *directory, struct err *err)
{
	struct source *s;

	if (t->n_sources == TREE_OPEN_MAX)
		return fail(err, E_LIMIT, "the image's directories are too deep");
	if (t->n_sources == t->sources_room) {
		size_t room = t->sources_room ? 2 * t->sources_room : OPEN_MIN;
		struct source *sources = reallocarray(t->sources, room, sizeof *sources);

		if (!sources)
			return fail_nomem(err);
		t->sources = sources;
		t->sources_room = room;
	}
	s = &t->sources[t->n_sources++];
	s->layer = layer;
	return erofs_cursor_begin(t->readers[layer], directory, &s->at, err);
}

static void pop_level(struct tree *t)
{
	t->n_sources = t->levels[--t->n_levels].first;
}

/* The path of the directory that is open, and memory for more. */
static void cut_path(struct tree *t)
{
	t->path.len = t->levels[t->n_levels - 1].path_len;
}

static int add_name(struct tree *t, struct bytes name, struct err *err)
{
	cut_path(t);
	if (t->path.len + 1 + name.len > TREE_PATH_MAX)
		return fail(err, E_LIMIT, "a path of the image has more than %d bytes", TREE_PATH_MAX);
	if ((t->path.len && !buf_putc(&t->path, '/')) || !buf_append(&t->path, name.data, name.len))
		return fail_nomem(err);
	return OK;
}

/* ---- one name of a directory ------------------------------------------------------------- */

static int compare(struct bytes a, struct bytes b)
{
	int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int entry_of(struct tree *t, const struct source *s, struct erofs_entry *ret_entry, struct err *err)
{
	return erofs_cursor_entry(t->readers[s->layer], &s->at, ret_entry, err);
}

/* The first name of those that the sources of the level are at, and which of them have it.
 * Each reader keeps the block that its name is in, as it is not used in between. */
static int find_first(struct tree *t, struct bytes *ret_name, struct err *err)
{
	size_t first = t->levels[t->n_levels - 1].first;

	t->n_having = 0;
	for (size_t i = first; i < t->n_sources; i++) {
		struct erofs_entry e;
		int order, rc;

		if (erofs_cursor_is_at_end(&t->sources[i].at))
			continue;
		rc = entry_of(t, &t->sources[i], &e, err);
		if (rc != OK)
			return rc;
		order = t->n_having ? compare(e.name, *ret_name) : -1;
		if (order < 0) {
			t->n_having = 0;
			*ret_name = e.name;
		}
		if (order <= 0)
			t->having[t->n_having++] = i;
	}
	return OK;
}

static int node_of(struct tree *t, size_t source, struct erofs_node *ret_node, struct err *err)
{
	struct source *s = &t->sources[source];
	struct erofs_entry e;
	int rc = entry_of(t, s, &e, err);

	if (rc == OK)
		rc = erofs_read_node(t->readers[s->layer], e.nid, e.type, ret_node, err);
	return rc;
}

static int leave_name(struct tree *t, struct err *err)
{
	int rc = OK;

	for (size_t i = 0; rc == OK && i < t->n_having; i++) {
		struct source *s = &t->sources[t->having[i]];

		rc = erofs_cursor_next(t->readers[s->layer], &s->at, err);
	}
	return rc;
}

/* Opens the directory that the first of `having` has, and those below that have a part
 * in it. */
static int open_merged(struct tree *t, struct err *err)
{
	struct erofs_node n = t->entry.node;
	int rc = push_level(t, err);

	for (size_t i = 0; rc == OK && i < t->n_having; i++) {
		if (i)
			rc = node_of(t, t->having[i], &n, err);
		if (rc != OK || !S_ISDIR(n.mode))
			break;
		rc = push_source(t, t->sources[t->having[i]].layer, &n, err);
		if (n.is_opaque)
			break;
	}
	return rc;
}

static void show(struct tree *t, size_t layer, const struct erofs_node *n)
{
	t->entry = (struct tree_entry){
		.path = buf_bytes(&t->path),
		.node = *n,
		.layer = layer,
		.reader = t->readers[layer],
	};
}

static int take_name(struct tree *t, bool *ret_shown, struct err *err)
{
	struct erofs_node n;
	struct bytes name = { NULL, 0 };
	int rc = find_first(t, &name, err);

	*ret_shown = false;
	if (rc != OK)
		return rc;
	if (!t->n_having) {
		pop_level(t);
		return OK;
	}
	rc = add_name(t, name, err);
	if (rc == OK)
		rc = node_of(t, t->having[0], &n, err);
	if (rc != OK)
		return rc;
	if (!erofs_node_is_whiteout(&n)) {
		show(t, t->sources[t->having[0]].layer, &n);
		*ret_shown = true;
		if (S_ISDIR(n.mode))
			rc = open_merged(t, err);
	}
	return rc == OK ? leave_name(t, err) : rc;
}

/* ---- all of them -------------------------------------------------------------------------- */

static int begin(struct tree *t, struct err *err)
{
	int rc = push_level(t, err);

	t->begun = true;
	show(t, t->root[0].layer, &t->root[0].node);
	for (size_t i = 0; rc == OK && i < t->n_root; i++)
		rc = push_source(t, t->root[i].layer, &t->root[i].node, err);
	return rc;
}

int tree_next(struct tree *t, const struct tree_entry **ret_entry, struct err *err)
{
	struct err local = ERR_INIT, *e = err ? err : &local;
	bool shown = !t->begun;
	int rc = t->begun ? OK : begin(t, e);

	while (rc == OK && !shown && t->n_levels) {
		rc = cancel_check(t->cancel, e);
		if (rc == OK)
			rc = take_name(t, &shown, e);
	}
	if (rc == OK)
		*ret_entry = shown ? &t->entry : NULL;
	return rc;
}

void tree_skip(struct tree *t)
{
	if (t->n_levels && S_ISDIR(t->entry.node.mode))
		pop_level(t);
}
