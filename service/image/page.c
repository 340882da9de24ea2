#include "service/image/page.h"

#include <stdio.h>

enum {
	SIZE_DEFAULT = 100,
	SIZE_LARGEST = 1000,
	BYTES_MAX = 3 * 1024 * 1024, /* a message has at most 4 MiB */
	STEP = 64,		     /* images read at a time */
	STEP_BYTES_MAX = 64 * 1024 * 1024,
};

/* ---- tokens: order, hash of the filter, key; in hex ------------------------ */

struct head {
	uint64_t filter;
	uint8_t order;
} __attribute__((packed));

static struct head head_of(const struct page *p)
{
	return (struct head){ .filter = p->filter, .order = (uint8_t)p->order };
}

char *page_next(const struct page *p, struct arena *a)
{
	struct head head = head_of(p);
	CLEANUP(buf_free) struct buf token = BUF_INIT(sizeof head + META_KEY_MAX);
	char *out;

	if (!p->more)
		return arena_string(a, "");
	out = arena_alloc(a, 2 * (sizeof head + p->after.len) + 1);
	buf_append(&token, &head, sizeof head);
	buf_append(&token, p->after.data, p->after.len);
	if (!out || !buf_ok(&token))
		return NULL;
	for (size_t i = 0; i < token.len; i++)
		snprintf(out + 2 * i, 3, "%02x", token.data[i]);
	return out;
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The bytes of a token, at most what a key can need. */
static int token_decode(const struct page *p, const char *text, struct buf *out, struct err *err)
{
	size_t len = strlen(text);

	for (size_t i = 0; i + 1 < len; i += 2) {
		int high = hex_value(text[i]), low = hex_value(text[i + 1]);

		if (high < 0 || low < 0)
			break;
		buf_putc(out, (char)(high * 16 + low));
	}
	if (!buf_ok(out) || out->len * 2 != len || out->len <= sizeof(struct head))
		return fail(err, E_INVALID, "page_token is not one that %s gave out", p->method);
	return OK;
}

static int token_parse(struct page *p, const char *text, struct err *err)
{
	struct head expected = head_of(p);
	CLEANUP(buf_free) struct buf token = BUF_INIT(sizeof expected + META_KEY_MAX);

	if (token_decode(p, text, &token, err) < 0)
		return err->code;
	if (memcmp(token.data, &expected, sizeof expected) != 0)
		return fail(err, E_INVALID, "page_token belongs to another filter or order");
	return buf_append(&p->after, token.data + sizeof expected, token.len - sizeof expected) ? OK : fail_nomem(err);
}

/* ---- pages ---------------------------------------------------------------- */

int page_open(struct page *p, int32_t size, const char *token, struct err *err)
{
	p->after = (struct buf)BUF_INIT(META_KEY_MAX);
	if (size < 0)
		return fail(err, E_INVALID, "page_size is negative");
	p->limit = !size ? SIZE_DEFAULT : size > SIZE_LARGEST ? SIZE_LARGEST : (size_t)size;
	return *token ? token_parse(p, token, err) : OK;
}

void page_close(struct page *p)
{
	buf_free(&p->after);
}

bool page_has_room(const struct page *p, size_t bytes)
{
	return p->n < p->limit && (!p->n || p->bytes + bytes <= BYTES_MAX);
}

void page_count(struct page *p, size_t bytes)
{
	p->n++;
	p->bytes += bytes;
}

int page_end(struct page *p, struct err *err)
{
	p->full = true;
	return fail(err, E_LIMIT, "the page is full");
}

static int fill_step(struct page *p, struct store *s, image_visit *visit, void *arg, struct err *err)
{
	CLEANUP(arena_free) struct arena step;
	int r;

	arena_init(&step, STEP_BYTES_MAX);
	p->step = &step;
	r = image_list(s, p->order, &p->after, STEP, &step, visit, arg, &p->more, err);
	p->step = NULL;
	return r;
}

int page_fill(struct page *p, struct store *s, image_visit *visit, void *arg, struct cancel *cancel, struct err *err)
{
	p->more = true;
	while (p->more && p->n < p->limit) {
		int r = cancel_check(cancel, err);

		if (r == OK)
			r = fill_step(p, s, visit, arg, err);
		if (p->full)
			break;
		if (r < 0)
			return r;
	}
	p->more = p->more || p->full;
	return OK;
}
