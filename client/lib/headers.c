#include <ctype.h>
#include <grpc/slice.h>
#include <strings.h>

#include "client/lib/internal.h"

/* What HTTP/2 and gRPC say themselves. */
static bool is_reserved(const char *name)
{
	static const char *const names[] = { "connection", "content-length", "content-type",	 "host",
					     "te",	   "user-agent",     "transfer-encoding" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcasecmp(name, names[i]))
			return true;
	return !strncasecmp(name, "grpc-", 5);
}

static grpc_slice lower_case(const char *name)
{
	grpc_slice slice = grpc_slice_from_copied_string(name);
	uint8_t *bytes = GRPC_SLICE_START_PTR(slice);

	for (size_t i = 0; i < GRPC_SLICE_LENGTH(slice); i++)
		bytes[i] = (uint8_t)tolower(bytes[i]);
	return slice;
}

static int check(const struct rpc_header *h, const grpc_metadata *m, struct err *err)
{
	if (!grpc_header_key_is_legal(m->key) || grpc_is_binary_header(m->key))
		return fail(err, E_USAGE, "the header \"%.128s\" cannot be sent: its name is none", h->name);
	if (!grpc_header_nonbin_value_is_legal(m->value))
		return fail(err, E_USAGE, "the header \"%.128s\" cannot be sent: its value is not plain text", h->name);
	return OK;
}

static int add(struct headers *h, const struct rpc_header *header, struct err *err)
{
	if (is_reserved(header->name))
		return OK;
	h->items[h->n] = (grpc_metadata){ .key = lower_case(header->name),
					  .value = grpc_slice_from_copied_string(header->value) };
	return check(header, &h->items[h->n++], err);
}

int client_headers_make(const struct rpc_channel_options *o, struct headers *ret_headers, struct err *err)
{
	int r = OK;

	*ret_headers = (struct headers){ .n = 0 };
	if (!o->n_headers)
		return OK;
	ret_headers->items = calloc(o->n_headers, sizeof *ret_headers->items);
	if (!ret_headers->items)
		return fail_nomem(err);
	for (size_t i = 0; r == OK && i < o->n_headers; i++)
		r = add(ret_headers, &o->headers[i], err);
	return r;
}

void client_headers_free(struct headers *h)
{
	for (size_t i = 0; i < h->n; i++) {
		grpc_slice_unref(h->items[i].key);
		grpc_slice_unref(h->items[i].value);
	}
	free(h->items);
}

grpc_op client_headers_op(const struct headers *h)
{
	grpc_op op;

	memset(&op, 0, sizeof op);
	op.op = GRPC_OP_SEND_INITIAL_METADATA;
	op.data.send_initial_metadata.count = h->n;
	op.data.send_initial_metadata.metadata = h->items;
	return op;
}
