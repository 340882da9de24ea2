#include "tests/fuzz/layer_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "service/layer/tar_header.h"
#include "tests/fuzz/tar_checksums.h"

enum order_kind {
	ORDER_FILE,
	ORDER_DIRECTORY,
	ORDER_SYMLINK,
	ORDER_HARD_LINK,
	ORDER_FIFO,
	ORDER_DEVICE,
	ORDER_WHITEOUT,
	ORDER_OPAQUE,
	ORDER_SPARSE,
	ORDER_KINDS,
};

enum {
	HAS_NS = 1,
	HAS_XATTR = 2,
	HAS_LARGE_OWNER = 4,
	HAS_OTHER_TIME = 8,
	MODE_SHIFT = 4,
	PIECE_MAX = 300, /* of a sparse file */
	TARGET_MAX = 90, /* fits the header */
	ROOT_XATTR_MAX = 2000,
	ORDER_BYTES = 6,
	ORDERS_MAX = 200,
};

/* ---- names ---------------------------------------------------------------------------- */

static unsigned parent_of(unsigned node)
{
	return (node - 1) / MODEL_CHILDREN;
}

static char name_of(unsigned node)
{
	return (char)('a' + (node - 1) % MODEL_CHILDREN);
}

/* "./" is the root. */
static void path_of(unsigned node, char out[MODEL_PATH_MAX])
{
	char parent[MODEL_PATH_MAX];

	if (!node) {
		snprintf(out, MODEL_PATH_MAX, "./");
		return;
	}
	if (!parent_of(node)) {
		snprintf(out, MODEL_PATH_MAX, "%c", name_of(node));
		return;
	}
	path_of(parent_of(node), parent);
	snprintf(out, MODEL_PATH_MAX, "%.12s/%c", parent, name_of(node));
}

/* ---- the tree -------------------------------------------------------------------------- */

static bool is_directory(const struct model *m, unsigned node)
{
	return m->nodes[node].state == MODEL_HERE && S_ISDIR(m->objects[m->nodes[node].object].mode);
}

static void clear(struct model *m, unsigned node)
{
	m->nodes[node] = (struct model_node){ 0 };
	if (node < MODEL_PARENTS)
		for (unsigned i = 1; i <= MODEL_CHILDREN; i++)
			clear(m, node * MODEL_CHILDREN + i);
}

static void name(struct model *m, unsigned node, unsigned object)
{
	clear(m, node);
	m->nodes[node] = (struct model_node){ .state = MODEL_HERE, .object = object };
}

static void make_directory(struct model *m, unsigned node, struct model_object attributes)
{
	bool hides = m->nodes[node].state == MODEL_WHITEOUT;

	attributes.mode = (uint16_t)(S_IFDIR | (attributes.mode & 07777));
	m->objects[m->n_objects] = attributes;
	name(m, node, m->n_objects++);
	m->nodes[node].is_opaque = hides;
}

/* Directories that are missing; false, and nothing is made, when one of them cannot be. */
static bool make_parents(struct model *m, unsigned node)
{
	unsigned parent = parent_of(node);

	if (!node)
		return true;
	if (m->nodes[parent].state == MODEL_HERE && !is_directory(m, parent))
		return false;
	if (!make_parents(m, parent))
		return false;
	if (!is_directory(m, parent))
		make_directory(m, parent, (struct model_object){ .mode = 0755, .is_implied = true });
	return true;
}

void model_init(struct model *m)
{
	*m = (struct model){ 0 };
	make_directory(m, 0, (struct model_object){ .mode = 0755, .is_implied = true });
}

unsigned model_links(const struct model *m, unsigned object)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MODEL_NODES; i++)
		n += m->nodes[i].state == MODEL_HERE && m->nodes[i].object == object;
	return n;
}

uint8_t model_byte(const struct model_object *o, uint64_t at)
{
	if (S_ISLNK(o->mode))
		return (uint8_t)('a' + (o->seed + at) % 26);
	return at < o->hole ? 0 : (uint8_t)(o->seed + at * 7 + (at >> 8));
}

uint8_t model_xattr_byte(const struct model_object *o, size_t at)
{
	return (uint8_t)(o->seed + at * 3);
}

/* ---- the tar --------------------------------------------------------------------------- */

static void put_block(struct buf *tar, uint8_t block[TAR_BLOCK])
{
	repair_checksums(block, TAR_BLOCK);
	buf_append(tar, block, TAR_BLOCK);
}

static void pad(struct buf *tar)
{
	static const uint8_t zeros[TAR_BLOCK];

	buf_append(tar, zeros, -tar->len % TAR_BLOCK);
}

static void put_octal(uint8_t *field, size_t len, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof text, "%0*" PRIo64, (int)len - 1, value);
	memcpy(field, text, len - 1);
}

static void put_header(struct buf *tar, char type, const char *path, const char *link, const struct model_object *o,
		       uint64_t size)
{
	uint8_t block[TAR_BLOCK] = { 0 };

	memcpy(block, path, strlen(path));
	put_octal(block + 100, 8, o->mode & 07777);
	put_octal(block + 108, 8, o->uid & 07777777);
	put_octal(block + 116, 8, o->gid & 07777777);
	put_octal(block + 124, 12, size);
	put_octal(block + 136, 12, (uint64_t)o->mtime);
	block[156] = (uint8_t)type;
	memcpy(block + 157, link, strlen(link));
	memcpy(block + 257, "ustar\00000", 8);
	put_octal(block + 329, 8, major(o->device));
	put_octal(block + 337, 8, minor(o->device));
	put_block(tar, block);
}

/* "LENGTH KEY=VALUE\n": the length counts itself. */
static void put_record(struct buf *records, const char *key, struct bytes value)
{
	size_t rest = strlen(key) + value.len + 3, len = rest + 1;

	for (size_t digits = 10; digits <= len; digits *= 10)
		len++;
	buf_printf(records, "%zu %s=", len, key);
	buf_append(records, value.data, value.len);
	buf_putc(records, '\n');
}

static void put_number(struct buf *records, const char *key, uint64_t value)
{
	char text[32];
	int len = snprintf(text, sizeof text, "%" PRIu64, value);

	put_record(records, key, (struct bytes){ (const uint8_t *)text, (size_t)len });
}

static void put_time(struct buf *records, const struct model_object *o)
{
	char text[64];
	int len = snprintf(text, sizeof text, "%" PRId64 ".%09u", o->mtime, o->mtime_ns);

	put_record(records, "mtime", (struct bytes){ (const uint8_t *)text, (size_t)len });
}

static void put_xattr(struct buf *records, const struct model_object *o)
{
	uint8_t value[UINT16_MAX];

	for (size_t i = 0; i < o->xattr_len; i++)
		value[i] = model_xattr_byte(o, i);
	put_record(records, "SCHILY.xattr.user.v", (struct bytes){ value, o->xattr_len });
}

static void put_map(struct buf *records, const struct model_object *o)
{
	char text[64];
	int len = snprintf(text, sizeof text, "%" PRIu64 ",%" PRIu64, o->hole, o->size - o->hole);

	put_record(records, "GNU.sparse.map", (struct bytes){ (const uint8_t *)text, (size_t)len });
	put_number(records, "GNU.sparse.size", o->size);
}

/* What the plain header has no room for. */
static void put_records(struct buf *tar, const struct model_object *o)
{
	CLEANUP(buf_free) struct buf records = BUF_INIT(2 * UINT16_MAX);

	if (o->mtime_ns)
		put_time(&records, o);
	if (o->uid > 07777777)
		put_number(&records, "uid", o->uid);
	if (o->xattr_len)
		put_xattr(&records, o);
	if (o->hole)
		put_map(&records, o);
	if (!records.len)
		return;
	put_header(tar, 'x', "records", "", &(struct model_object){ .mode = 0644 }, records.len);
	buf_append(tar, records.data, records.len);
	pad(tar);
}

static void put_entry(struct buf *tar, char type, const char *path, const char *link, const struct model_object *o)
{
	uint64_t data = type == '0' ? o->size - o->hole : 0;

	put_records(tar, o);
	put_header(tar, type, path, link, o, data);
	for (uint64_t i = 0; i < data; i++)
		buf_putc(tar, (char)model_byte(o, o->hole + i));
	pad(tar);
}

void model_end(struct buf *tar)
{
	static const uint8_t zeros[2 * TAR_BLOCK];

	buf_append(tar, zeros, sizeof zeros);
}

/* ---- entries --------------------------------------------------------------------------- */

static struct model_object attributes_of(const struct model_order *order)
{
	unsigned a = order->attributes;

	return (struct model_object){
		.mode = (uint16_t)((a >> MODE_SHIFT) * 0421 & 07777),
		.uid = a & HAS_LARGE_OWNER ? 4000000000u + order->other : order->other,
		.gid = order->other * 3u,
		.mtime = a & HAS_OTHER_TIME ? 1600000000 + order->other : 1600000000,
		.mtime_ns = a & HAS_NS ? 1 + order->size * 1000u : 0,
		.xattr_len = a & HAS_XATTR ? (uint16_t)(1 + order->size % 5000) : 0,
		.seed = order->other,
	};
}

/* Links and whiteouts have no extended header. */
static void take_time(struct model *m, const struct model_order *order, const struct model_object *o)
{
	unsigned kind = order->kind % ORDER_KINDS;
	bool is_plain = kind == ORDER_HARD_LINK || kind == ORDER_WHITEOUT || kind == ORDER_OPAQUE;

	if (m->has_time)
		return;
	m->has_time = true;
	m->time = o->mtime;
	m->time_ns = is_plain ? 0 : o->mtime_ns;
}

static void apply_directory(struct model *m, unsigned node, const struct model_object *o, struct buf *tar)
{
	char path[MODEL_PATH_MAX];

	path_of(node, path);
	put_entry(tar, '5', path, "", o);
	if (!is_directory(m, node)) {
		make_directory(m, node, *o);
		return;
	}
	m->objects[m->nodes[node].object] = *o;
	m->objects[m->nodes[node].object].mode |= S_IFDIR;
}

/* Everything else that has an inode of its own. */
static void apply_new(struct model *m, unsigned node, char type, struct model_object *o, struct buf *tar)
{
	char path[MODEL_PATH_MAX], target[TARGET_MAX + 1] = "";

	path_of(node, path);
	if (S_ISLNK(o->mode))
		for (uint64_t i = 0; i < o->size; i++)
			target[i] = (char)model_byte(o, i);
	put_entry(tar, type, path, target, o);
	m->objects[m->n_objects] = *o;
	name(m, node, m->n_objects++);
}

static void apply_hard_link(struct model *m, unsigned node, unsigned target, const struct model_object *o,
			    struct buf *tar)
{
	char path[MODEL_PATH_MAX], to[MODEL_PATH_MAX];

	path_of(node, path);
	path_of(target, to);
	put_header(tar, '1', path, to, o, 0);
	name(m, node, m->nodes[target].object);
}

static void put_mark(unsigned directory, const char *mark, const struct model_object *o, struct buf *tar)
{
	char path[MODEL_PATH_MAX], whole[2 * MODEL_PATH_MAX];

	path_of(directory, path);
	snprintf(whole, sizeof whole, "%s/%s", path, mark);
	put_header(tar, '0', whole, "", o, 0);
}

static void apply_whiteout(struct model *m, unsigned node, const struct model_object *o, struct buf *tar)
{
	const char mark[] = { '.', 'w', 'h', '.', name_of(node), 0 };

	put_mark(parent_of(node), mark, o, tar);
	if (is_directory(m, node))
		m->nodes[node].is_opaque = true;
	else if (m->nodes[node].state == MODEL_ABSENT)
		m->nodes[node].state = MODEL_WHITEOUT;
}

static void apply_opaque(struct model *m, unsigned node, const struct model_object *o, struct buf *tar)
{
	put_mark(node, ".wh..wh..opq", o, tar);
	if (!is_directory(m, node))
		make_directory(m, node, (struct model_object){ .mode = 0755, .is_implied = true });
	m->nodes[node].is_opaque = true;
}

static void apply_inode(struct model *m, const struct model_order *order, unsigned node, struct model_object o,
			struct buf *tar)
{
	char type = '0';

	switch (order->kind % ORDER_KINDS) {
	case ORDER_SYMLINK:
		o.mode = S_IFLNK | 0777;
		o.size = 1 + order->size % TARGET_MAX;
		type = '2';
		break;
	case ORDER_FIFO:
		o.mode |= S_IFIFO;
		type = '6';
		break;
	case ORDER_DEVICE:
		o.mode |= S_IFCHR;
		o.device = (uint32_t)makedev(1 + order->size % 4000, order->other * 1000u);
		type = '3';
		break;
	case ORDER_SPARSE:
		o.hole = 1 + order->size * 16u;
		o.size = o.hole + 1 + order->other % PIECE_MAX;
		/* fall through */
	default:
		o.mode |= S_IFREG;
		o.size = o.size ? o.size : order->size % 20000;
	}
	apply_new(m, node, type, &o, tar);
}

static bool makes_sense(struct model *m, const struct model_order *order, unsigned node, unsigned target)
{
	unsigned kind = order->kind % ORDER_KINDS;
	bool is_file = m->nodes[node].state == MODEL_HERE && !is_directory(m, node);

	if (m->n_objects + MODEL_CHILDREN + 1 > MODEL_OBJECTS) /* its parents' too */
		return false;
	if (!node && kind != ORDER_DIRECTORY && kind != ORDER_OPAQUE)
		return false;
	if (kind == ORDER_OPAQUE && is_file)
		return false;
	if (kind == ORDER_HARD_LINK && (m->nodes[target].state != MODEL_HERE || is_directory(m, target)))
		return false;
	return make_parents(m, node);
}

void model_apply(struct model *m, const struct model_order *order, struct buf *tar)
{
	unsigned node = order->node % MODEL_NODES, target = order->other % MODEL_NODES;
	struct model_object o = attributes_of(order);

	if (!node) /* the root has to fit into the first block */
		o.xattr_len %= ROOT_XATTR_MAX;
	if (!makes_sense(m, order, node, target))
		return;
	switch (order->kind % ORDER_KINDS) {
	case ORDER_DIRECTORY:
		apply_directory(m, node, &o, tar);
		break;
	case ORDER_HARD_LINK:
		apply_hard_link(m, node, target, &o, tar);
		break;
	case ORDER_WHITEOUT:
		apply_whiteout(m, node, &o, tar);
		break;
	case ORDER_OPAQUE:
		apply_opaque(m, node, &o, tar);
		break;
	default:
		apply_inode(m, order, node, o, tar);
	}
	take_time(m, order, &o);
}

void model_build(struct model *m, const uint8_t *data, size_t size, struct buf *tar)
{
	model_init(m);
	for (size_t n = 0; size >= ORDER_BYTES && n < ORDERS_MAX; n++, data += ORDER_BYTES, size -= ORDER_BYTES)
		model_apply(
			m,
			&(struct model_order){ data[0], data[1], data[2], data[3], (uint16_t)(data[4] | data[5] << 8) },
			tar);
	model_end(tar);
}

int model_convert(struct bytes tar, int fd, struct erofs_result *ret_result)
{
	const struct erofs_limits limits = erofs_limits_default();
	CLEANUP(erofs_writer_freep) struct erofs_writer *w = NULL;
	int r = erofs_writer_new(fd, &limits, &w, NULL);

	if (r == OK)
		r = erofs_writer_feed(w, tar.data, tar.len, NULL);
	return r == OK ? erofs_writer_finish(w, ret_result, NULL) : r;
}
