#include "tests/build/context_steps.h"

#include <stdio.h>
#include <sys/stat.h>

#include "proto/runtime/utf8.h"
#include "service/build/context/context_match.h"
#include "store/contexts/context_xattrs.h"

struct doing {
	struct contexts *contexts;
	struct build_context *c;
	const struct context_list *list; /* NULL: no context */
	struct bytes path;
	const char *value;
	struct cancel *cancel;
	struct buf *out;
};

static void put_text(struct buf *out, struct bytes b)
{
	buf_putc(out, '"');
	for (size_t i = 0; i < b.len; i++)
		buf_printf(out, "\\u%04x", b.data[i]);
	buf_putc(out, '"');
}

static void put_digest(struct buf *out, const struct digest *d)
{
	char text[DIGEST_TEXT_MAX];

	buf_printf(out, "\"%s\"", digest_text(d, text));
}

static size_t from_latin1(const char *text, uint8_t *out)
{
	struct bytes rest = bytes_of(text);
	size_t n = 0;

	while (rest.len) {
		uint32_t rune = 0;
		size_t len = utf8_rune(rest, &rune);

		out[n++] = (uint8_t)rune;
		rest = (struct bytes){ rest.data + len, rest.len - len };
	}
	return n;
}

static int find(const struct doing *d, uint32_t *ret_index, struct err *err)
{
	*ret_index = context_list_find(d->list, d->path);
	return *ret_index == CONTEXT_NO_ENTRY ? fail(err, E_NOT_FOUND, "%s: not found in build context", d->value) : OK;
}

static int need(struct doing *d, struct err *err)
{
	struct context_range range = context_list_range(d->list, d->path);

	return build_context_need(d->c, &range, 1, d->cancel, err);
}

/* The first entry of each range of a source, and how many it has. */
static int match(struct doing *d, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct context_ranges ranges = { .n = 0 };
	int r;

	arena_init(&arena, 16 << 20);
	r = context_match(d->list, d->value, &arena, &ranges, err);
	if (r == OK)
		r = build_context_need(d->c, ranges.items, ranges.n, d->cancel, err);
	buf_putc(d->out, '[');
	for (size_t i = 0; r == OK && i < ranges.n; i++) {
		buf_puts(d->out, i ? ",[" : "[");
		put_text(d->out, context_list_path(d->list, ranges.items[i].begin));
		buf_printf(d->out, ",%u]", ranges.items[i].end - ranges.items[i].begin);
	}
	buf_putc(d->out, ']');
	return r;
}

static int list(struct doing *d, struct err *err UNUSED)
{
	struct context_range range = context_list_range(d->list, d->path);

	buf_putc(d->out, '[');
	for (uint32_t i = range.begin; i < range.end; i++) {
		struct context_entry e = context_list_entry(d->list, i);

		buf_printf(d->out, "%s{\"path\":", i > range.begin ? "," : "");
		put_text(d->out, e.path);
		buf_printf(d->out, ",\"mode\":%u,\"size\":%lld,\"mtime_ns\":%lld,\"device\":%llu,\"link\":", e.mode,
			   (long long)e.size, (long long)e.mtime_ns, (unsigned long long)e.device);
		put_text(d->out, e.link);
		buf_puts(d->out, ",\"same_as\":");
		put_text(d->out, e.same_as);
		buf_putc(d->out, '}');
	}
	buf_putc(d->out, ']');
	return OK;
}

static int digest(struct doing *d, struct err *err)
{
	struct digest digest;
	uint32_t index;
	int r;

	if (!d->path.len || d->path.data[d->path.len - 1] == '/') {
		d->path.len -= d->path.len > 0;
		r = build_context_digest_contents(d->c, d->path, &digest, err);
	} else {
		r = find(d, &index, err);
		if (r == OK)
			r = build_context_digest_tree(d->c, index, &digest, err);
	}
	if (r == OK)
		put_digest(d->out, &digest);
	return r;
}

static int hash(struct doing *d, struct err *err)
{
	uint8_t piece[65536];
	struct build_file file;
	struct digest digest;
	struct hasher h;
	uint32_t index;
	int r = find(d, &index, err);

	if (r != OK)
		return r;
	build_context_file(d->c, index, &file);
	hasher_init(&h, DIGEST_SHA256);
	while (file.size) {
		ssize_t n = pread(file.fd, piece, min_size((uint64_t)file.size, sizeof piece), file.offset);

		if (n <= 0)
			return fail_errno(err, "read the pack");
		hasher_update(&h, piece, (size_t)n);
		file.size -= n;
		file.offset += n;
	}
	digest = hasher_final(&h);
	if (!digest_eq(&digest, &file.sha256))
		return fail(err, E_CORRUPT, "%s: the pack holds other bytes than its place says", d->value);
	put_digest(d->out, &digest);
	return OK;
}

static int xattrs(struct doing *d, struct err *err)
{
	CLEANUP(buf_free) struct buf packed = BUF_INIT(CONTEXT_XATTRS_PACKED_MAX);
	struct context_xattr x;
	struct bytes rest;
	uint32_t index;
	const char *comma = "";
	int r = find(d, &index, err);

	if (r == OK)
		r = build_context_xattrs(d->c, index, &packed, err);
	if (r != OK)
		return r;
	rest = buf_bytes(&packed);
	buf_putc(d->out, '{');
	for (; context_xattrs_next(&rest, &x); comma = ",") {
		buf_puts(d->out, comma);
		put_text(d->out, x.name);
		buf_putc(d->out, ':');
		put_text(d->out, x.value);
	}
	buf_putc(d->out, '}');
	return OK;
}

static bool put_usage(void *doing, const struct context_usage *u)
{
	struct doing *d = doing;

	buf_printf(d->out, "%s{\"bytes\":%lld,\"entries\":%lld,\"in_use\":%s,\"id\":",
		   d->out->data[d->out->len - 1] == '[' ? "" : ",", (long long)u->bytes, (long long)u->entries,
		   u->in_use ? "true" : "false");
	put_digest(d->out, &u->id);
	buf_putc(d->out, '}');
	return true;
}

static int usage(struct doing *d, struct err *err)
{
	int r;

	buf_putc(d->out, '[');
	r = contexts_each(d->contexts, NULL, put_usage, d, err);
	buf_putc(d->out, ']');
	return r;
}

static int prune(struct doing *d, struct err *err)
{
	struct context_limits limits = { .max_bytes = strtoll(d->value, NULL, 10) };
	struct context_freed freed;
	int r = contexts_prune(d->contexts, &limits, &freed, err);

	if (r == OK)
		buf_printf(d->out, "{\"bytes\":%lld,\"count\":%lld}", (long long)freed.bytes, (long long)freed.count);
	return r;
}

static int in_use(struct doing *d, struct err *err UNUSED)
{
	buf_printf(d->out, "%zu", contexts_in_use(d->contexts));
	return OK;
}

static int hold(struct doing *d, struct err *err)
{
	struct stat st;

	while (stat(d->value, &st))
		if (cancel_wait(d->cancel, 10))
			return cancel_check(d->cancel, err);
	return OK;
}

static const struct {
	const char *name;
	int (*run)(struct doing *d, struct err *err);
	bool answers, of_context;
} steps[] = {
	{ "need", need, false, true },	  { "match", match, true, true },    { "list", list, true, true },
	{ "digest", digest, true, true }, { "hash", hash, true, true },	     { "xattrs", xattrs, true, true },
	{ "usage", usage, true, false },  { "in-use", in_use, true, false }, { "prune", prune, true, false },
	{ "hold", hold, false, false },
};

int run_step(struct contexts *contexts, struct build_context *c, const struct step *step, struct cancel *cancel,
	     struct buf *out, struct err *err)
{
	CLEANUP(freep) uint8_t *path = malloc(strlen(step->value) + 1);
	struct doing d = { .contexts = contexts, .c = c, .value = step->value, .cancel = cancel, .out = out };

	if (!path)
		return fail_nomem(err);
	d.path = (struct bytes){ path, from_latin1(step->value, path) };
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		if (strcmp(steps[i].name, step->name) != 0)
			continue;
		if (steps[i].of_context && !c)
			return fail(err, E_INVALID, "there is no context");
		if (steps[i].of_context)
			d.list = build_context_list(c);
		if (steps[i].answers && out->len > 1)
			buf_putc(out, ',');
		return steps[i].run(&d, err);
	}
	return fail(err, E_INVALID, "unknown step %s", step->name);
}
