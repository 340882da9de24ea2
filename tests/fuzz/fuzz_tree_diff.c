/*
 * Two tars of entries that meet each other become images, and what the comparison of their
 * trees tells is what their models (layer_model.h) differ in: each name, and of each what.
 *
 * Input: the first byte, in 255ths, parts the rest in two inputs of model_build().
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include "service/tree/tree_diff.h"
#include "tests/fuzz/layer_model.h"

enum { TAR_MAX = 16 * 1024 * 1024, PERMISSIONS = 07777 };
/* Beside the changes of tree_diff.h. */
enum { REMOVED = 1 << 16, ADDED = 1 << 17, TOLD = 1 << 18 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* ---- what is to be told ------------------------------------------------------------------ */

static const struct model_object *object_of(const struct model *m, unsigned node)
{
	return m->nodes[node].state == MODEL_HERE ? &m->objects[m->nodes[node].object] : NULL;
}

static bool bytes_differ(const struct model_object *a, const struct model_object *b)
{
	if (a->size != b->size)
		return true;
	for (uint64_t i = 0; i < a->size; i++)
		if (model_byte(a, i) != model_byte(b, i))
			return true;
	return false;
}

static bool attributes_differ(const struct model_object *a, const struct model_object *b)
{
	if (!S_ISREG(a->mode) && !S_ISDIR(a->mode)) /* xattr(7) */
		return false;
	if (a->xattr_len != b->xattr_len)
		return true;
	for (size_t i = 0; i < a->xattr_len; i++)
		if (model_xattr_byte(a, i) != model_xattr_byte(b, i))
			return true;
	return false;
}

static bool times_differ(const struct model *from, const struct model_object *a, const struct model *to,
			 const struct model_object *b)
{
	return (a->is_implied ? from->time : a->mtime) != (b->is_implied ? to->time : b->mtime) ||
	       (a->is_implied ? from->time_ns : a->mtime_ns) != (b->is_implied ? to->time_ns : b->mtime_ns);
}

static unsigned wanted(const struct model *from, const struct model *to, unsigned node)
{
	const struct model_object *a = object_of(from, node), *b = object_of(to, node);
	unsigned changes = 0;

	if (!a || !b)
		return a ? REMOVED : b ? ADDED : 0;
	if ((a->mode & PERMISSIONS) != (b->mode & PERMISSIONS))
		changes |= TREE_MODE;
	if (a->uid != b->uid || a->gid != b->gid)
		changes |= TREE_OWNER;
	if (!S_ISDIR(b->mode) && times_differ(from, a, to, b))
		changes |= TREE_TIME;
	if ((a->mode & S_IFMT) != (b->mode & S_IFMT))
		return changes | TREE_TYPE;
	if (S_ISREG(a->mode) && bytes_differ(a, b))
		changes |= TREE_CONTENT;
	if (S_ISLNK(a->mode) && bytes_differ(a, b))
		changes |= TREE_LINK;
	if (S_ISCHR(a->mode) && a->device != b->device)
		changes |= TREE_DEVICE;
	return changes | (attributes_differ(a, b) ? TREE_ATTRIBUTES : 0);
}

/* ---- what is told ------------------------------------------------------------------------ */

static unsigned node_of(struct bytes path)
{
	unsigned node = 0;

	for (size_t i = 0; i < path.len; i += 2) {
		unsigned which = (unsigned)path.data[i] - 'a';

		require(which < MODEL_CHILDREN && node < MODEL_PARENTS);
		require(i + 1 == path.len || path.data[i + 1] == '/');
		node = node * MODEL_CHILDREN + 1 + which;
	}
	return node;
}

static int note(void *arg, const struct tree_entry *from, const struct tree_entry *to, unsigned changes,
		UNUSED struct err *err)
{
	unsigned *told = arg, node = node_of(from ? from->path : to->path);

	require((from && to) == !!changes && !told[node]);
	told[node] = TOLD | changes | (to ? 0 : REMOVED) | (from ? 0 : ADDED);
	return OK;
}

static struct tree *tree_of(struct model *m, const uint8_t *data, size_t size)
{
	CLEANUP(buf_free) struct buf tar = BUF_INIT(TAR_MAX);
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct erofs_result result;
	struct tree *tree = NULL;

	model_build(m, data, size, &tar);
	require(fd >= 0 && buf_ok(&tar));
	require(model_convert(buf_bytes(&tar), fd, &result) == OK);
	require(tree_open(&fd, 1, NULL, &tree, NULL) == OK);
	return tree;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct model from, to;
	unsigned told[MODEL_NODES] = { 0 };
	struct digest from_layer = { .algorithm = DIGEST_SHA256 }, to_layer = { DIGEST_SHA256, { 1 } };
	size_t first;

	if (!size)
		return 0;
	first = (size - 1) * data[0] / 255;
	CLEANUP(tree_closep) struct tree *a = tree_of(&from, data + 1, first);
	CLEANUP(tree_closep) struct tree *b = tree_of(&to, data + 1 + first, size - 1 - first);
	require(tree_diff_run(
			&(struct tree_diff){
				.from = a,
				.to = b,
				.from_layers = &from_layer,
				.to_layers = &to_layer,
				.visit = note,
				.arg = told,
			},
			NULL) == OK);
	for (unsigned node = 0; node < MODEL_NODES; node++)
		require((told[node] & ~(unsigned)TOLD) == wanted(&from, &to, node));
	return 0;
}
