/* Hard links of a list that has just been written. */
#include <stddef.h>
#include <sys/stat.h>

#include "store/contexts/context_list_state.h"

static int fail_link(const struct context_list *l, uint32_t i, struct err *err)
{
	char shown[CONTEXT_SHOWN_MAX];

	return fail(err, E_INVALID, "context entry \"%s\": it is a hard link of what is no earlier file of its size",
		    context_path_show(context_list_path(l, i), shown));
}

static int resolve(struct context_list *l, uint32_t i, struct err *err)
{
	struct context_entry e = context_list_entry(l, i);
	uint64_t at = (uint64_t)l->index[i] * CONTEXT_LIST_UNIT + offsetof(struct context_record_head, same_as);
	uint32_t source = context_list_find(l, e.same_as), value = source + 1;
	struct context_entry target;

	if (source >= i) /* also when there is none */
		return fail_link(l, i, err);
	target = context_list_entry(l, source);
	if (!S_ISREG(target.mode) || target.same_as.len || target.size != e.size)
		return fail_link(l, i, err);
	return context_file_write(&l->file, &value, sizeof value, at, err);
}

int context_list_resolve_links(struct context_list *l, struct err *err)
{
	uint32_t left = l->head->n_links;
	int r = OK;

	for (uint32_t i = 0; r == OK && left; i++) {
		if (!context_record_of(l, i)->same_as_len)
			continue;
		r = resolve(l, i, err);
		left--;
	}
	return r;
}
