/*
 * Trees of several platforms in one directory (platform-split=false): what one has the others must not have, but for
 * directories. Found before anything is sent, by walking two at a time in their common order.
 */
#include <sys/stat.h>

#include "service/build/result/exporting.h"
#include "service/tree/tree.h"

/* As trees come: what is in a directory directly behind it. */
static int compare(struct bytes a, struct bytes b)
{
	size_t n = min_size(a.len, b.len);

	for (size_t i = 0; i < n; i++)
		if (a.data[i] != b.data[i])
			return (a.data[i] == '/' ? 0 : a.data[i] + 1) - (b.data[i] == '/' ? 0 : b.data[i] + 1);
	return (a.len > b.len) - (a.len < b.len);
}

static int fail_overwrite(const struct built *first, const struct built *second, struct bytes path, struct err *err)
{
	char one[PLATFORM_TEXT_MAX], other[PLATFORM_TEXT_MAX];

	return fail(err, E_CONFLICT, "cannot overwrite %.*s from %s with %s when split option is disabled",
		    (int)min_size(path.len, 512), (const char *)path.data, platform_text(&first->platform, one),
		    platform_text(&second->platform, other));
}

static int check_two(const struct exporting *x, const struct built *first, const struct built *second, struct err *err)
{
	CLEANUP(tree_closep) struct tree *a = NULL;
	CLEANUP(tree_closep) struct tree *b = NULL;
	const struct tree_entry *in_a, *in_b;

	if (export_open_tree(x, first, &a, err) < 0 || export_open_tree(x, second, &b, err) < 0 ||
	    tree_next(a, &in_a, err) < 0 || tree_next(b, &in_b, err) < 0)
		return err->code;
	while (in_a && in_b) {
		int order = compare(in_a->path, in_b->path);

		if (!order && !(S_ISDIR(in_a->node.mode) && S_ISDIR(in_b->node.mode)))
			return fail_overwrite(first, second, in_a->path, err);
		if (cancel_check(x->r->cancel, err) < 0 || (order <= 0 && tree_next(a, &in_a, err) < 0) ||
		    (order >= 0 && tree_next(b, &in_b, err) < 0))
			return err->code;
	}
	return OK;
}

int export_check_merge(const struct exporting *x, struct err *err)
{
	for (size_t i = 1; i < x->r->n_built; i++)
		for (size_t k = 0; k < i; k++)
			if (check_two(x, &x->r->built[k], &x->r->built[i], err) < 0)
				return err->code;
	return OK;
}
