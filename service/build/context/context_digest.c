/*
 * Digests of entries and trees, for the keys of steps.
 *
 * An entry: sha256 of a version, type and permissions, link, device, bytes, xattrs. A tree: of
 * its entry's digest and, for each name in it, in order, the name and its tree. Every part
 * that varies comes behind its length. A list is in the order of a walk, so one pass with a
 * stack of the directories that are open takes it all.
 */
#include <sys/stat.h>

#include "service/build/context/build_context_state.h"
#include "store/contexts/context_xattrs.h"

enum { FORM_ENTRY = 1, FORM_TREE, FORM_CONTENTS, DEPTH_FIRST = 32 };

static void add_number(struct hasher *h, uint64_t value)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
	hasher_update(h, bytes, sizeof bytes);
}

static void add_bytes(struct hasher *h, struct bytes b)
{
	add_number(h, b.len);
	hasher_update(h, b.data, b.len);
}

static void begin_form(struct hasher *h, uint64_t form)
{
	hasher_init(h, DIGEST_SHA256);
	add_number(h, form);
}

/* ---- an entry ------------------------------------------------------------------------------ */

static bool has_packed(struct build_context *c, uint32_t index, struct context_place *ret_place)
{
	return S_ISREG(context_list_mode(c->files->list, index)) && context_files_get(c->files, index, ret_place);
}

static int read_packed(struct build_context *c, const struct context_place *place, struct buf *out, struct err *err)
{
	void *room = buf_reserve(out, place->xattrs_len);
	ssize_t n;

	if (!room)
		return fail_nomem(err);
	n = pread(c->files->pack->file.fd, room, place->xattrs_len, (off_t)place->xattrs_at);
	if (n < 0)
		return fail_errno(err, "read a context's file");
	if ((size_t)n != place->xattrs_len)
		return fail(err, E_CORRUPT, "the files of a build context are cut off");
	out->len += (size_t)n;
	return OK;
}

int build_context_xattrs(struct build_context *c, uint32_t index, struct buf *out, struct err *err)
{
	struct context_place place = { .xattrs_len = 0 };
	struct bytes listed = context_list_xattrs(c->files->list, index);

	buf_reset(out);
	if (has_packed(c, index, &place) && place.xattrs_len)
		return read_packed(c, &place, out, err);
	return buf_append(out, listed.data, listed.len) ? OK : fail_nomem(err);
}

static int add_xattrs(struct build_context *c, uint32_t index, struct hasher *h, struct err *err)
{
	CLEANUP(buf_free) struct buf packed = BUF_INIT(CONTEXT_XATTRS_PACKED_MAX);
	struct context_xattr x;
	struct bytes rest;
	int r = build_context_xattrs(c, index, &packed, err);

	if (r != OK)
		return r;
	rest = buf_bytes(&packed);
	while (context_xattrs_next(&rest, &x)) {
		add_bytes(h, x.name);
		add_bytes(h, x.value);
	}
	return OK;
}

static uint32_t counted_mode(uint32_t mode)
{
	return S_ISLNK(mode) ? S_IFLNK | 0777 : mode;
}

int build_context_digest_entry(struct build_context *c, uint32_t index, struct digest *ret_digest, struct err *err)
{
	struct context_entry e = context_list_entry(c->files->list, index);
	struct context_place place = { .flags = 0 };
	struct hasher h;
	int r;

	begin_form(&h, FORM_ENTRY);
	add_number(&h, counted_mode(e.mode));
	add_bytes(&h, e.link);
	add_number(&h, e.device);
	add_number(&h, (uint64_t)e.size);
	if (S_ISREG(e.mode) && !context_files_get(c->files, index, &place))
		return fail(err, E_INTERNAL, "build context \"%s\": the digest of a file that is not here", c->name);
	if (S_ISREG(e.mode))
		hasher_update(&h, place.sha256, sizeof place.sha256);
	r = add_xattrs(c, index, &h, err);
	if (r == OK)
		*ret_digest = hasher_final(&h);
	return r;
}

/* ---- a tree -------------------------------------------------------------------------------- */

struct open_directory {
	struct bytes path;
	size_t name_at; /* where its own name begins in the path */
	struct hasher hasher;
};

struct tree {
	struct build_context *c;
	struct open_directory *stack;
	size_t depth, capacity;
};

static int push(struct tree *t, struct bytes path, uint64_t form, struct err *err)
{
	struct bytes parent = context_path_parent(path);

	if (t->depth == t->capacity) {
		size_t capacity = t->capacity ? 2 * t->capacity : DEPTH_FIRST;
		struct open_directory *stack = reallocarray(t->stack, capacity, sizeof *stack);

		if (!stack)
			return fail_nomem(err);
		t->stack = stack;
		t->capacity = capacity;
	}
	t->stack[t->depth].path = path;
	t->stack[t->depth].name_at = parent.len ? parent.len + 1 : 0;
	begin_form(&t->stack[t->depth++].hasher, form);
	return OK;
}

/* The innermost directory is over: into the one around it. */
static struct digest pop(struct tree *t)
{
	struct open_directory *d = &t->stack[--t->depth];
	struct digest digest = hasher_final(&d->hasher);

	if (t->depth) {
		struct hasher *h = &t->stack[t->depth - 1].hasher;

		add_bytes(h, (struct bytes){ d->path.data + d->name_at, d->path.len - d->name_at });
		hasher_update(h, digest.bytes, digest_len(&digest));
	}
	return digest;
}

static int add_entry(struct tree *t, uint32_t index, struct err *err)
{
	struct bytes path = context_list_path(t->c->files->list, index);
	struct digest digest;
	int r = build_context_digest_entry(t->c, index, &digest, err);

	while (t->depth > 1 && !context_path_is_below(t->stack[t->depth - 1].path, path))
		pop(t);
	if (r == OK)
		r = push(t, path, FORM_TREE, err);
	if (r != OK)
		return r;
	hasher_update(&t->stack[t->depth - 1].hasher, digest.bytes, digest_len(&digest));
	if (!S_ISDIR(context_list_mode(t->c->files->list, index)) && t->depth > 1)
		pop(t);
	return OK;
}

static int add_range(struct tree *t, struct context_range range, struct digest *ret_digest, struct err *err)
{
	struct digest digest = { 0 };
	int r = OK;

	for (uint32_t i = range.begin; r == OK && i < range.end; i++)
		r = add_entry(t, i, err);
	while (r == OK && t->depth)
		digest = pop(t);
	if (r == OK)
		*ret_digest = digest;
	return r;
}

int build_context_digest_tree(struct build_context *c, uint32_t index, struct digest *ret_digest, struct err *err)
{
	struct tree t = { .c = c };
	struct context_range range = context_list_range(c->files->list, context_list_path(c->files->list, index));
	int r = add_range(&t, range, ret_digest, err);

	free(t.stack);
	return r;
}

int build_context_digest_contents(struct build_context *c, struct bytes directory, struct digest *ret_digest,
				  struct err *err)
{
	struct tree t = { .c = c };
	struct context_range range = context_list_range(c->files->list, directory);
	int r = push(&t, directory, FORM_CONTENTS, err);

	range.begin += directory.len && range.begin < range.end;
	if (r == OK)
		r = add_range(&t, range, ret_digest, err);
	free(t.stack);
	return r;
}
