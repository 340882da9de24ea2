/* The list of a context, piece by piece. */
#include "service/build/context/build_context_state.h"

enum { XATTRS_STACK = 16 };

static struct bytes bytes_from(ProtobufCBinaryData d)
{
	return (struct bytes){ d.data, d.len };
}

static int add_with(struct build_context *c, struct context_entry *e, const Imaged__V1__ContextEntry *m,
		    struct context_xattr *xattrs, struct err *err)
{
	for (size_t i = 0; i < m->n_xattrs; i++)
		xattrs[i] = (struct context_xattr){ bytes_from(m->xattrs[i]->name), bytes_from(m->xattrs[i]->value) };
	e->xattrs = xattrs;
	e->n_xattrs = m->n_xattrs;
	return context_list_add(c->writer, e, err);
}

static int add_entry(struct build_context *c, const Imaged__V1__ContextEntry *m, struct err *err)
{
	struct context_xattr few[XATTRS_STACK];
	CLEANUP(freep) struct context_xattr *many = NULL;
	struct context_entry e = {
		.path = bytes_from(m->path),
		.mode = m->mode,
		.size = m->size,
		.mtime_ns = m->mtime_ns,
		.stamp = m->stamp,
		.device = m->device,
		.link = bytes_from(m->link),
		.same_as = bytes_from(m->same_as),
	};

	if (m->n_xattrs <= XATTRS_STACK)
		return add_with(c, &e, m, few, err);
	many = reallocarray(NULL, m->n_xattrs, sizeof *many);
	return many ? add_with(c, &e, m, many, err) : fail_nomem(err);
}

static int end_list(struct build_context *c, struct err *err)
{
	CLEANUP(context_list_unrefp) struct context_list *list = NULL;
	int r = context_list_end(c->writer, &list, err);

	context_list_abandon(TAKE(c->writer));
	if (r != OK)
		return r;
	if (!digest_eq(context_list_digest(list), &c->list_digest))
		return fail(err, E_INVALID, "build context \"%s\": the list is not the one of its digest", c->name);
	return build_context_set_list(c, TAKE(list), err);
}

static int take(struct build_context *c, const Imaged__V1__ContextList *m, struct err *err)
{
	int r = OK;

	if (!c->writer)
		return fail(err, E_INVALID, "build context \"%s\": a list that was not asked for", c->name);
	for (size_t i = 0; r == OK && i < m->n_entries; i++)
		r = add_entry(c, m->entries[i], err);
	return r == OK && m->last ? end_list(c, err) : r;
}

int build_context_take_list(struct build_context *c, const Imaged__V1__ContextList *m, struct err *err)
{
	struct err why = ERR_INIT;
	int r = take(c, m, &why);

	if (r == OK)
		return OK;
	build_context_fail(c, &why);
	return fail(err, r, "%s", why.text);
}
