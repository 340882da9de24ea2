#include "client/cli/build/send_list.h"

/* As ContextList says; entries with much in them go alone. */
enum { MESSAGE_ENTRIES = 1000, MESSAGE_BYTES = 512 * 1024 };

struct message {
	Imaged__V1__ContextEntry entries[MESSAGE_ENTRIES];
	Imaged__V1__ContextEntry *pointers[MESSAGE_ENTRIES];
	struct arena xattrs;
	size_t n, bytes;
};

static ProtobufCBinaryData wire(struct bytes b)
{
	return (ProtobufCBinaryData){ b.len, (uint8_t *)b.data };
}

static size_t size_of(const struct context_entry *e)
{
	size_t bytes = e->path.len + e->link.len + e->same_as.len + 64;

	for (size_t i = 0; i < e->n_xattrs; i++)
		bytes += e->xattrs[i].name.len + e->xattrs[i].value.len;
	return bytes;
}

static int add_xattrs(struct message *m, Imaged__V1__ContextEntry *out, const struct context_entry *e, struct err *err)
{
	Imaged__V1__ExtendedAttribute *all = arena_array(&m->xattrs, e->n_xattrs, sizeof *all);

	out->xattrs = arena_array(&m->xattrs, e->n_xattrs, sizeof(Imaged__V1__ExtendedAttribute *));
	if (!all || !out->xattrs)
		return fail_nomem(err);
	for (size_t i = 0; i < e->n_xattrs; i++) {
		imaged__v1__extended_attribute__init(&all[i]);
		all[i].name = wire(e->xattrs[i].name);
		all[i].value = wire(e->xattrs[i].value);
		out->xattrs[i] = &all[i];
	}
	out->n_xattrs = e->n_xattrs;
	return OK;
}

static int add(struct message *m, const struct context_entry *e, struct err *err)
{
	Imaged__V1__ContextEntry *out = &m->entries[m->n];

	imaged__v1__context_entry__init(out);
	out->path = wire(e->path);
	out->mode = e->mode;
	out->size = e->size;
	out->mtime_ns = e->mtime_ns;
	out->link = wire(e->link);
	out->device = e->device;
	out->stamp = e->stamp;
	out->same_as = wire(e->same_as);
	m->pointers[m->n++] = out;
	m->bytes += size_of(e);
	return e->n_xattrs ? add_xattrs(m, out, e, err) : OK;
}

static int flush(struct message *m, const char *context, bool last, send_request *send, void *stream, struct err *err)
{
	Imaged__V1__BuildRequest request = IMAGED__V1__BUILD_REQUEST__INIT;
	Imaged__V1__ContextList list = IMAGED__V1__CONTEXT_LIST__INIT;
	int r;

	list.context = (char *)context;
	list.entries = m->pointers;
	list.n_entries = m->n;
	list.last = last;
	request.request_case = IMAGED__V1__BUILD_REQUEST__REQUEST_LIST;
	request.list = &list;
	r = send(stream, &request, err);
	m->n = m->bytes = 0;
	arena_reset(&m->xattrs, 4 * MESSAGE_BYTES);
	return r;
}

int send_list(const struct listing *l, const char *context, send_request *send, void *stream, struct err *err)
{
	CLEANUP(freep) struct message *m = calloc(1, sizeof *m);
	int r = OK;

	if (!m)
		return fail_nomem(err);
	arena_init(&m->xattrs, 4 * MESSAGE_BYTES);
	for (size_t i = 0; r == OK && i < l->n; i++) {
		if (m->n == MESSAGE_ENTRIES || m->bytes + size_of(&l->entries[i]) > MESSAGE_BYTES)
			r = flush(m, context, false, send, stream, err);
		if (r == OK)
			r = add(m, &l->entries[i], err);
	}
	if (r == OK)
		r = flush(m, context, true, send, stream, err);
	arena_free(&m->xattrs);
	return r;
}
