/*
 * Tars of entries that meet each other in every way become images, and our own reader finds
 * in them what the model of a layer says (layer_model.h): each name and no other, types,
 * modes, owners, times, links, extended attributes, every byte of every file.
 *
 * Input: that of model_build().
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include "service/layer/erofs/check.h"
#include "service/layer/erofs/reader.h"
#include "tests/fuzz/layer_model.h"

enum { TAR_MAX = 16 * 1024 * 1024, CACHED = 8, PIECE = 1000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* ---- what the reader finds --------------------------------------------------------------- */

struct comparison {
	const struct model *model;
	struct erofs_reader *reader;
	uint64_t nids[MODEL_OBJECTS]; /* 0: not met yet; links are of one inode */
	unsigned met;
};

static void compare_attributes(const struct comparison *c, const struct model_object *o, const struct erofs_node *n)
{
	bool implied = o->is_implied;

	require(n->mode == o->mode && n->uid == o->uid && n->gid == o->gid);
	require(n->mtime == (implied ? c->model->time : o->mtime));
	require(n->mtime_ns == (implied ? c->model->time_ns : o->mtime_ns));
	if (S_ISCHR(o->mode)) /* as Linux writes makedev() of small numbers */
		require(erofs_node_device(n) == o->device);
}

static void compare_xattrs(struct comparison *c, const struct model_object *o, const struct erofs_node *n)
{
	CLEANUP(buf_free) struct buf read = BUF_INIT(EROFS_XATTRS_MAX);
	struct erofs_attribute a;
	struct bytes rest;
	unsigned found = 0;

	require(erofs_read_attributes(c->reader, n, &read, NULL) == OK);
	for (rest = buf_bytes(&read); erofs_next_attribute(&rest, &a); found++) {
		require(!strcmp(a.prefix, "user.") && a.name.len == 1 && a.name.data[0] == 'v');
		require(a.value.len == o->xattr_len);
		for (size_t i = 0; i < a.value.len; i++)
			require(a.value.data[i] == model_xattr_byte(o, i));
	}
	require(found == (o->xattr_len && (S_ISREG(n->mode) || S_ISDIR(n->mode)) ? 1 : 0)); /* xattr(7) */
}

static void compare_target(struct comparison *c, const struct model_object *o, const struct erofs_node *n)
{
	uint8_t target[EROFS_TARGET_MAX];

	require(n->size == o->size && erofs_read_target(c->reader, n, target, NULL) == OK);
	for (uint64_t i = 0; i < n->size; i++)
		require(target[i] == model_byte(o, i));
}

static void compare_data(struct comparison *c, const struct model_object *o, const struct erofs_node *n)
{
	uint8_t data[PIECE];

	require(n->size == o->size && (o->hole || !erofs_node_may_have_holes(n)));
	for (uint64_t at = 0; at < n->size;) {
		size_t len = n->size - at < sizeof data ? (size_t)(n->size - at) : sizeof data;

		require(erofs_read_data(c->reader, n, at, data, len, NULL) == OK);
		for (size_t i = 0; i < len; i++)
			require(data[i] == model_byte(o, at + i));
		at += len;
	}
}

static void compare_directory(struct comparison *c, unsigned node, const struct erofs_node *n);

static void compare_node(struct comparison *c, unsigned node, const struct erofs_node *n)
{
	const struct model_node *known = &c->model->nodes[node];
	const struct model_object *o = &c->model->objects[known->object];

	c->met++;
	require(known->state != MODEL_ABSENT);
	require(erofs_node_is_whiteout(n) == (known->state == MODEL_WHITEOUT));
	if (known->state == MODEL_WHITEOUT)
		return;
	require(!c->nids[known->object] || c->nids[known->object] == n->nid);
	c->nids[known->object] = n->nid;
	compare_attributes(c, o, n);
	compare_xattrs(c, o, n);
	if (S_ISDIR(o->mode)) {
		require(n->is_opaque == known->is_opaque);
		compare_directory(c, node, n);
		return;
	}
	require(n->links == model_links(c->model, known->object));
	if (S_ISLNK(o->mode))
		compare_target(c, o, n);
	if (S_ISREG(o->mode))
		compare_data(c, o, n);
}

static void compare_directory(struct comparison *c, unsigned node, const struct erofs_node *n)
{
	struct erofs_cursor cursor;
	struct erofs_entry e;
	struct erofs_node child;
	int rc = erofs_cursor_begin(c->reader, n, &cursor, NULL);

	require(rc == OK);
	while (!erofs_cursor_is_at_end(&cursor)) {
		unsigned which;

		require(erofs_cursor_entry(c->reader, &cursor, &e, NULL) == OK && e.name.len == 1);
		which = (unsigned)e.name.data[0] - 'a';
		require(which < MODEL_CHILDREN && node < MODEL_PARENTS);
		require(erofs_read_node(c->reader, e.nid, e.type, &child, NULL) == OK);
		compare_node(c, node * MODEL_CHILDREN + 1 + which, &child);
		require(erofs_cursor_next(c->reader, &cursor, NULL) == OK);
	}
}

/* No two files are of one inode. */
static void compare_identities(const struct comparison *c)
{
	for (unsigned i = 0; i < c->model->n_objects; i++)
		for (unsigned k = 0; k < i; k++)
			require(!c->nids[i] || c->nids[i] != c->nids[k]);
}

static void compare(const struct model *m, int fd)
{
	struct comparison c = { .model = m };
	struct erofs_node root;
	unsigned wanted = 0;

	for (unsigned i = 0; i < MODEL_NODES; i++)
		wanted += m->nodes[i].state != MODEL_ABSENT;
	require(erofs_reader_open(dup(fd), CACHED, &c.reader, NULL) == OK);
	require(erofs_read_root(c.reader, &root, NULL) == OK);
	compare_node(&c, 0, &root);
	require(c.met == wanted);
	compare_identities(&c);
	erofs_reader_close(c.reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_free) struct buf tar = BUF_INIT(TAR_MAX);
	CLEANUP(closep) int fd = memfd_create("image", MFD_CLOEXEC);
	static struct model m;
	struct erofs_summary summary;
	struct erofs_result result;

	model_build(&m, data, size, &tar);
	if (fd < 0 || !buf_ok(&tar))
		return 0;
	require(model_convert(buf_bytes(&tar), fd, &result) == OK);
	require(erofs_check(fd, UINT64_MAX, NULL, &summary, NULL) == OK);
	require(result.root_is_opaque == m.nodes[0].is_opaque);
	compare(&m, fd);
	return 0;
}
