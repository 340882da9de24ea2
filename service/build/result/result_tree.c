/* Files of a build for the client: as one tar, or each by itself. */
#include <sys/stat.h>

#include "service/build/result/exporting.h"
#include "service/tree/hard_links.h"
#include "service/tree/tree_tar.h"

enum { NAME_MAX_BYTES = 2 * PLATFORM_TEXT_MAX, XATTRS_MAX = 64 * 1024, ENTRY_BYTES_MAX = 1024 * 1024 };

static bool is_split(const struct exporting *x)
{
	return x->output->platform_split || (x->r->n_built > 1 && !x->output->no_platform_split);
}

/* "linux_amd64", where platforms have directories of their own; else "". */
static const char *split_name(const struct exporting *x, const struct built *b, char out[NAME_MAX_BYTES])
{
	*out = 0;
	if (!is_split(x))
		return out;
	platform_text(&b->platform, out);
	for (char *p = out; *p; p++)
		if (*p == '/')
			*p = '_';
	return out;
}

int export_open_tree(const struct exporting *x, const struct built *b, struct tree **ret_tree, struct err *err)
{
	CLEANUP(freep) int *fds = NULL;
	size_t n = 0;

	if (b->solution->tree && build_tree_open(b->solution->tree, x->r->cancel, &fds, &n, err) < 0)
		return err->code;
	return tree_open(fds, n, x->r->cancel, ret_tree, err);
}

/* ---- a tar ----------------------------------------------------------------------- */

static int send_tree(struct exporting *x, struct tree_tar *archive, struct output_stream *s, struct err *err)
{
	CLEANUP(freep) uint8_t *piece = malloc(OUTPUT_PIECE_BYTES);
	size_t len = 0;

	if (!piece)
		return fail_nomem(err);
	do {
		if (cancel_check(x->r->cancel, err) < 0 ||
		    tree_tar_read(archive, piece, OUTPUT_PIECE_BYTES, &len, err) < 0 ||
		    (len && output_send(s, piece, len, false, err) < 0))
			return err->code;
	} while (len);
	return OK;
}

static int send_one_tar(struct exporting *x, size_t i, struct output_stream *s, struct err *err)
{
	const struct built *b = &x->r->built[i];
	CLEANUP(tree_tar_freep) struct tree_tar *archive = NULL;
	char name[NAME_MAX_BYTES], prefix[NAME_MAX_BYTES + 1];
	struct tree_tar_options options = {
		.prefix = prefix,
		.has_time = x->r->has_epoch,
		.time = x->r->epoch,
		.no_root = true,
		.no_end = i + 1 < x->r->n_built,
	};
	struct tree *tree = NULL;

	split_name(x, b, name);
	snprintf(prefix, sizeof prefix, "%s%s", name, *name ? "/" : "");
	if (export_open_tree(x, b, &tree, err) < 0 || tree_tar_new_with(tree, &options, &archive, err) < 0)
		return err->code;
	return send_tree(x, archive, s, err);
}

int export_tar(struct exporting *x, struct err *err)
{
	struct output_stream s = {
		.peer = &x->r->peer, .output = x->number, .vertex = x->vertex, .what = "sending tarball", .silent = true
	};

	if (!is_split(x) && export_check_merge(x, err) < 0)
		return err->code;
	for (size_t i = 0; i < x->r->n_built; i++)
		if (send_one_tar(x, i, &s, err) < 0)
			return err->code;
	return output_send(&s, "", 0, true, err);
}

/* ---- each by itself --------------------------------------------------------------- */

struct files {
	struct exporting *x;
	struct output_stream stream; /* of the bytes */
	const char *prefix;
	struct hard_links hard_links;
	struct arena arena; /* of one entry */
	uint8_t target[EROFS_TARGET_MAX];
	uint8_t piece[OUTPUT_PIECE_BYTES];
};

static int send_entry(struct files *f, Imaged__V1__ContextEntry *entry, uint32_t uid, uint32_t gid, struct err *err)
{
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;
	Imaged__V1__OutputEntry m = IMAGED__V1__OUTPUT_ENTRY__INIT;

	m.output = f->x->number;
	m.entry = entry;
	m.uid = uid;
	m.gid = gid;
	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_OUTPUT_ENTRY;
	event.output_entry = &m;
	return f->x->r->peer.send(f->x->r->peer.arg, &event, err);
}

static int set_path(struct files *f, struct bytes path, ProtobufCBinaryData *ret_path, struct err *err)
{
	char *text = arena_printf(&f->arena, "%s%s%.*s", f->prefix, *f->prefix && path.len ? "/" : "", (int)path.len,
				  (const char *)path.data);

	if (!text)
		return fail_nomem(err);
	*ret_path = (ProtobufCBinaryData){ strlen(text), (uint8_t *)text };
	return OK;
}

/* As messages of contexts have them: file capabilities, and what users set. */
static bool is_told(const char *prefix, struct bytes name)
{
	return !strcmp(prefix, "user.") ||
	       (!strcmp(prefix, "security.") && name.len == 10 && !memcmp(name.data, "capability", 10));
}

static int add_xattr(struct files *f, Imaged__V1__ContextEntry *entry, const struct erofs_attribute *a, struct err *err)
{
	Imaged__V1__ExtendedAttribute *m = arena_alloc(&f->arena, sizeof *m);
	Imaged__V1__ExtendedAttribute **larger = arena_array(&f->arena, entry->n_xattrs + 1,
							     sizeof(Imaged__V1__ExtendedAttribute *));
	char *name = arena_printf(&f->arena, "%s%.*s", a->prefix, (int)a->name.len, (const char *)a->name.data);
	uint8_t *value = arena_alloc(&f->arena, a->value.len + 1);

	if (!m || !larger || !name || !value)
		return fail_nomem(err);
	if (a->value.len)
		memcpy(value, a->value.data, a->value.len);
	imaged__v1__extended_attribute__init(m);
	m->name = (ProtobufCBinaryData){ strlen(name), (uint8_t *)name };
	m->value = (ProtobufCBinaryData){ a->value.len, value };
	if (entry->n_xattrs)
		memcpy(larger, entry->xattrs, entry->n_xattrs * sizeof *larger);
	larger[entry->n_xattrs++] = m;
	entry->xattrs = larger;
	return OK;
}

static int add_xattrs(struct files *f, const struct tree_entry *e, Imaged__V1__ContextEntry *entry, struct err *err)
{
	CLEANUP(buf_free) struct buf all = BUF_INIT(EROFS_XATTRS_MAX);
	struct erofs_attribute a;
	struct bytes rest;

	if (!e->node.xattrs_len)
		return OK;
	if (erofs_read_attributes(e->reader, &e->node, &all, err) < 0)
		return err->code;
	rest = buf_bytes(&all);
	while (erofs_next_attribute(&rest, &a))
		if (is_told(a.prefix, a.name) && add_xattr(f, entry, &a, err) < 0)
			return err->code;
	return OK;
}

/* Linux's 32-bit number, as in format.h. */
static uint64_t device_of(const struct erofs_node *n)
{
	uint32_t device = erofs_node_device(n);

	return (uint64_t)(device >> 8 & 0xfff) << 32 | (device & 0xff) | (device >> 12 & ~UINT32_C(0xff));
}

static int fill_special(struct files *f, const struct tree_entry *e, Imaged__V1__ContextEntry *entry, struct err *err)
{
	if (S_ISCHR(e->node.mode) || S_ISBLK(e->node.mode))
		entry->device = device_of(&e->node);
	if (!S_ISLNK(e->node.mode))
		return OK;
	entry->link = (ProtobufCBinaryData){ e->node.size, f->target };
	return erofs_read_target(e->reader, &e->node, f->target, err);
}

/* What 64 bits cannot hold is the first or the last moment that they do. */
static int64_t to_ns(int64_t seconds, int64_t more)
{
	enum { NS_PER_S = 1000000000 };
	int64_t ns;

	if (!__builtin_mul_overflow(seconds, NS_PER_S, &ns) && !__builtin_add_overflow(ns, more, &ns))
		return ns;
	return seconds < 0 ? INT64_MIN : INT64_MAX;
}

static int fill_entry(struct files *f, const struct tree_entry *e, Imaged__V1__ContextEntry *entry, struct err *err)
{
	struct bytes first;

	if (set_path(f, e->path, &entry->path, err) < 0 || hard_links_first_name(&f->hard_links, e, &first, err) < 0 ||
	    (first.len && set_path(f, first, &entry->same_as, err) < 0) || fill_special(f, e, entry, err) < 0)
		return err->code;
	entry->mode = e->node.mode;
	entry->size = S_ISREG(e->node.mode) ? (int64_t)e->node.size : 0;
	entry->mtime_ns = f->x->r->has_epoch ? to_ns(f->x->r->epoch, 0) : to_ns(e->node.mtime, e->node.mtime_ns);
	return add_xattrs(f, e, entry, err);
}

static int send_data(struct files *f, const struct tree_entry *e, struct err *err)
{
	for (uint64_t at = 0; at < e->node.size;) {
		size_t len = min_size(e->node.size - at, sizeof f->piece);

		if (cancel_check(f->x->r->cancel, err) < 0 ||
		    erofs_read_data(e->reader, &e->node, at, f->piece, len, err) < 0 ||
		    output_send(&f->stream, f->piece, len, false, err) < 0)
			return err->code;
		at += len;
	}
	return output_send(&f->stream, f->piece, 0, true, err);
}

static int send_file(struct files *f, const struct tree_entry *e, struct err *err)
{
	Imaged__V1__ContextEntry entry = IMAGED__V1__CONTEXT_ENTRY__INIT;

	if (S_ISSOCK(e->node.mode) || (!e->path.len && !*f->prefix))
		return OK;
	arena_reset(&f->arena, ENTRY_BYTES_MAX);
	if (fill_entry(f, e, &entry, err) < 0 || send_entry(f, &entry, e->node.uid, e->node.gid, err) < 0)
		return err->code;
	return S_ISREG(e->node.mode) && !entry.same_as.len ? send_data(f, e, err) : OK;
}

static int send_all(struct files *f, const struct built *b, struct err *err)
{
	CLEANUP(tree_closep) struct tree *tree = NULL;
	const struct tree_entry *e;

	if (export_open_tree(f->x, b, &tree, err) < 0)
		return err->code;
	for (;;) {
		if (cancel_check(f->x->r->cancel, err) < 0 || tree_next(tree, &e, err) < 0)
			return err->code;
		if (!e)
			return OK;
		if (send_file(f, e, err) < 0)
			return err->code;
	}
}

static int send_platform(struct exporting *x, const struct built *b, struct files *f, struct err *err)
{
	char prefix[NAME_MAX_BYTES];
	int r;

	f->prefix = split_name(x, b, prefix);
	hard_links_init(&f->hard_links);
	r = send_all(f, b, err);
	hard_links_free(&f->hard_links);
	return r;
}

int export_files(struct exporting *x, struct err *err)
{
	struct files *f = calloc(1, sizeof *f);
	int r;

	if (!f)
		return fail_nomem(err);
	f->x = x;
	f->stream = (struct output_stream){
		.peer = &x->r->peer, .output = x->number, .vertex = x->vertex, .what = "copying files", .goes_on = true
	};
	arena_init(&f->arena, ENTRY_BYTES_MAX);
	r = is_split(x) ? OK : export_check_merge(x, err);
	for (size_t i = 0; r == OK && i < x->r->n_built; i++)
		r = send_platform(x, &x->r->built[i], f, err);
	if (r == OK)
		vertex_status(x->vertex, "copying files", f->stream.sent, 0, true);
	arena_free(&f->arena);
	free(f);
	return r;
}
