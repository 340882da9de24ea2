#include "store/meta/scan.h"

struct key key_after_prefix(const struct key *prefix)
{
	struct key k = *prefix;

	while (k.len && k.bytes[k.len - 1] == 0xff)
		k.len--;
	if (k.len)
		k.bytes[k.len - 1]++;
	return k;
}

void meta_scan_range(struct meta_scan *scan, struct meta *m, const struct key *from, const struct key *to)
{
	scan->meta = m;
	scan->from = *from;
	scan->to = *to;
	scan->n = scan->at = 0;
	scan->last = false;
}

void meta_scan_prefix(struct meta_scan *scan, struct meta *m, const struct key *prefix)
{
	struct key to = key_after_prefix(prefix);

	meta_scan_range(scan, m, prefix, &to);
}

static bool keep(void *arg, struct bytes key, UNUSED struct bytes value, uint64_t revision)
{
	struct meta_scan *scan = arg;
	struct key *k = &scan->page[scan->n];

	if (key.len > sizeof k->bytes)
		return true; /* none of ours */
	memcpy(k->bytes, key.data, key.len);
	k->len = key.len;
	scan->revisions[scan->n++] = revision;
	return scan->n < META_SCAN_PAGE;
}

/* The smallest key after `k`. */
static struct key successor(const struct key *k)
{
	struct key next = *k;

	if (next.len < sizeof next.bytes)
		next.bytes[next.len++] = 0;
	else
		next = key_after_prefix(k); /* as long as keys get: nothing lies below it */
	return next;
}

void meta_scan_after(struct meta_scan *scan, struct meta *m, const struct key *prefix, const struct key *after)
{
	struct key from = after ? successor(after) : *prefix, to = key_after_prefix(prefix);

	meta_scan_range(scan, m, &from, &to);
}

int meta_scan_next(struct meta_scan *scan, const struct key **ret_key, uint64_t *ret_revision, struct err *err)
{
	if (scan->at == scan->n && !scan->last) {
		int r;

		scan->n = scan->at = 0;
		r = meta_range(scan->meta, key_bytes(&scan->from), key_bytes(&scan->to), keep, scan, err);
		if (r != OK)
			return r;
		scan->last = scan->n < META_SCAN_PAGE;
		if (scan->n)
			scan->from = successor(&scan->page[scan->n - 1]);
	}
	*ret_key = NULL;
	if (scan->at == scan->n)
		return OK;
	if (ret_revision)
		*ret_revision = scan->revisions[scan->at];
	*ret_key = &scan->page[scan->at++];
	return OK;
}
