#include "service/layer/erofs/tree.h"

#include <search.h>
#include <sys/stat.h>

enum { DEPTH_MAX = 2048 };

/* ---- names in a directory ------------------------------------------------------ */

static int compare_bytes(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return order ?: (a_len > b_len) - (a_len < b_len);
}

static int compare_names(const void *a, const void *b)
{
	const struct erofs_name *x = a, *y = b;

	return compare_bytes(x->text, x->len, y->text, y->len);
}

/* A name on the stack, to look for. */
union key {
	struct erofs_name name;
	uint8_t room[sizeof(struct erofs_name) + EROFS_NAME_MAX];
};

static int compare_key(const void *key, const void *element)
{
	return compare_names(key, *(struct erofs_name *const *)element);
}

static struct erofs_name *last_in_order(const struct erofs_directory *d)
{
	return d->n_in_order ? d->in_order[d->n_in_order - 1] : NULL;
}

static struct erofs_name *find(const struct erofs_directory *d, const struct erofs_name *key)
{
	const struct erofs_name *last = last_in_order(d);
	struct erofs_name **found = NULL;

	if (last && compare_names(key, last) <= 0)
		found = bsearch(key, d->in_order, d->n_in_order, sizeof *d->in_order, compare_key);
	if (!found && d->others)
		found = tfind(key, &d->others, compare_names);
	return found ? *found : NULL;
}

struct erofs_name *erofs_tree_find(const struct erofs_directory *d, struct bytes name)
{
	union key key;

	if (name.len > EROFS_NAME_MAX)
		return NULL;
	key.name.len = (uint8_t)name.len;
	memcpy(key.name.text, name.data, name.len);
	return find(d, &key.name);
}

static int fail_memory(const struct erofs_tree *t, size_t wanted, struct err *err)
{
	if (wanted > t->arena.cap - t->arena.used)
		return fail(err, E_LIMIT, "layer has names that take more than %zu bytes", t->arena.cap);
	return fail_nomem(err);
}

static void *take(struct erofs_tree *t, size_t size, struct err *err)
{
	void *p = arena_alloc(&t->arena, size);

	if (!p)
		fail_memory(t, size + sizeof(max_align_t), err);
	return p;
}

static bool append_in_order(struct erofs_directory *d, struct erofs_name *n)
{
	uint32_t used = d->n_in_order;

	if (!(used & (used - 1))) { /* full: it doubles */
		struct erofs_name **grown = reallocarray(d->in_order, used ? 2 * (size_t)used : 1, sizeof *grown);

		if (!grown)
			return false;
		d->in_order = grown;
	}
	d->in_order[d->n_in_order++] = n;
	return true;
}

static bool put_name(struct erofs_directory *d, struct erofs_name *n)
{
	const struct erofs_name *last = last_in_order(d);

	if (!last || compare_names(n, last) > 0)
		return append_in_order(d, n);
	return tsearch(n, &d->others, compare_names) != NULL;
}

static int add_name(struct erofs_tree *t, struct erofs_directory *d, struct bytes name, struct erofs_inode *inode,
		    struct err *err)
{
	struct erofs_name *n = take(t, sizeof *n + name.len, err);

	if (!n)
		return err ? err->code : E_NO_MEMORY;
	n->inode = inode;
	n->len = (uint8_t)name.len;
	memcpy(n->text, name.data, name.len);
	if (!put_name(d, n))
		return fail_nomem(err);
	d->n_names++;
	return OK;
}

int erofs_tree_name(struct erofs_tree *t, struct erofs_directory *d, struct bytes name, struct erofs_inode *inode,
		    struct err *err)
{
	struct erofs_name *known = erofs_tree_find(d, name);

	if (!known)
		return add_name(t, d, name, inode, err);
	known->inode = inode;
	return OK;
}

struct listing {
	struct erofs_name **next;
};

static void list_one(const void *node, VISIT visit, void *arg)
{
	struct listing *l = arg;

	if (visit == postorder || visit == leaf)
		*l->next++ = *(struct erofs_name *const *)node;
}

/* The others go to the end of the list first, and are merged from there: what is written
 * never overtakes what is still to be read. */
void erofs_tree_list(const struct erofs_directory *d, struct erofs_name **out)
{
	struct erofs_name *const *in_order = d->in_order, *const *end = in_order + d->n_in_order;
	struct erofs_name **other = out + d->n_in_order, **others_end = out + d->n_names;

	twalk_r(d->others, list_one, &(struct listing){ other });
	while (in_order < end) {
		bool takes_other = other < others_end && compare_names(*other, *in_order) < 0;

		*out++ = takes_other ? *other++ : *in_order++;
	}
}

/* ---- inodes -------------------------------------------------------------------- */

int erofs_tree_make_inode(struct erofs_tree *t, enum erofs_type type, struct erofs_inode **ret_inode, struct err *err)
{
	struct erofs_inode *inode = take(t, sizeof *inode, err);

	if (!inode)
		return err ? err->code : E_NO_MEMORY;
	inode->type = (uint8_t)type;
	*ret_inode = inode;
	return OK;
}

int erofs_tree_keep(struct erofs_tree *t, struct bytes b, struct bytes *ret_copy, struct err *err)
{
	uint8_t *copy = take(t, b.len, err);

	if (!copy)
		return err ? err->code : E_NO_MEMORY;
	if (b.len)
		memcpy(copy, b.data, b.len);
	*ret_copy = (struct bytes){ copy, b.len };
	return OK;
}

int erofs_tree_make_symlink(struct erofs_tree *t, struct bytes target, struct erofs_inode **ret_inode, struct err *err)
{
	struct erofs_symlink *link = take(t, sizeof *link, err);

	if (!link)
		return err ? err->code : E_NO_MEMORY;
	link->inode.type = EROFS_TYPE_SYMLINK;
	*ret_inode = &link->inode;
	return erofs_tree_keep(t, target, &link->target, err);
}

static struct erofs_directory *new_directory(struct erofs_tree *t, struct err *err)
{
	struct erofs_directory *d = take(t, sizeof *d, err);

	if (!d)
		return NULL;
	d->inode.type = EROFS_TYPE_DIRECTORY;
	d->attributes.mode = S_IFDIR | 0755;
	d->next = t->directories;
	t->directories = d;
	return d;
}

int erofs_tree_make_directory(struct erofs_tree *t, struct erofs_directory *parent, struct bytes name,
			      struct erofs_directory **ret_directory, struct err *err)
{
	struct erofs_directory *d;

	if (parent->depth == DEPTH_MAX)
		return fail(err, E_LIMIT, "layer has directories more than %d deep", DEPTH_MAX);
	d = new_directory(t, err);
	if (!d)
		return err ? err->code : E_NO_MEMORY;
	d->parent = parent;
	d->depth = parent->depth + 1;
	*ret_directory = d;
	return erofs_tree_name(t, parent, name, &d->inode, err);
}

/* ---- begin and end -------------------------------------------------------------- */

int erofs_tree_init(struct erofs_tree *t, size_t max_bytes, struct err *err)
{
	*t = (struct erofs_tree){ 0 };
	arena_init(&t->arena, max_bytes);
	t->root = new_directory(t, err);
	if (!t->root)
		return err ? err->code : E_NO_MEMORY;
	t->root->parent = t->root;
	return OK;
}

static void keep_in_arena(void *name UNUSED)
{
}

void erofs_tree_free(struct erofs_tree *t)
{
	for (struct erofs_directory *d = t->directories; d; d = d->next) {
		free(d->in_order);
		tdestroy(d->others, keep_in_arena);
	}
	arena_free(&t->arena);
	t->directories = t->root = NULL;
}
