/* What a client sends of a directory: a ContextList, then ContextData, each behind its length
 * (2 bytes). Whatever they say, what becomes known is what was sent. */
#include "proto/runtime/codec.h"
#include "service/build/context/build_context.h"
#include "tests/fuzz/context_store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bytes take_part(struct bytes *rest)
{
	size_t len = rest->len < 2 ? 0 : (size_t)(rest->data[0] | rest->data[1] << 8);
	struct bytes part;

	*rest = rest->len < 2 ? (struct bytes){ 0 } : (struct bytes){ rest->data + 2, rest->len - 2 };
	part = (struct bytes){ rest->data, len < rest->len ? len : rest->len };
	if (rest->len)
		*rest = (struct bytes){ rest->data + part.len, rest->len - part.len };
	return part;
}

static const ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *type, struct bytes wire, struct arena *a)
{
	ProtobufCMessage *m;

	return codec_unpack(type, wire, a, &m, NULL) == OK ? m : NULL;
}

/* Of the list as it will be taken. */
static struct digest digest_of_list(const Imaged__V1__ContextList *l)
{
	struct hasher h;

	hasher_init(&h, DIGEST_SHA256);
	for (size_t i = 0; i < l->n_entries; i++) {
		const Imaged__V1__ContextEntry *m = l->entries[i];
		struct context_xattr xattrs[64];
		struct context_entry e = { .path = { m->path.data, m->path.len },
					   .mode = m->mode,
					   .size = m->size,
					   .mtime_ns = m->mtime_ns,
					   .stamp = m->stamp,
					   .device = m->device,
					   .link = { m->link.data, m->link.len },
					   .same_as = { m->same_as.data, m->same_as.len },
					   .xattrs = xattrs };

		for (; e.n_xattrs < m->n_xattrs && e.n_xattrs < ARRAY_LEN(xattrs); e.n_xattrs++)
			xattrs[e.n_xattrs] = (struct context_xattr){
				{ m->xattrs[e.n_xattrs]->name.data, m->xattrs[e.n_xattrs]->name.len },
				{ m->xattrs[e.n_xattrs]->value.data, m->xattrs[e.n_xattrs]->value.len }
			};
		context_entry_hash(&h, &e);
	}
	return hasher_final(&h);
}

static int want_list(void *arg UNUSED, const char *context UNUSED, struct err *err UNUSED)
{
	return OK;
}

static int want_files(void *arg UNUSED, const char *context UNUSED, const uint32_t *files UNUSED, size_t n UNUSED,
		      struct err *err UNUSED)
{
	return OK;
}

static void look(struct build_context *c)
{
	const struct context_list *l = build_context_list(c);
	struct digest digest;

	for (uint32_t i = 1; i < context_list_count(l); i++)
		if (context_path_compare(context_list_path(l, i - 1), context_list_path(l, i)) >= 0)
			abort();
	build_context_digest_contents(c, bytes_of(""), &digest, NULL);
}

static void send_parts(struct build_context *c, const ProtobufCMessage *list, struct bytes rest)
{
	struct context_range all = { 0, UINT32_MAX };
	struct cancel *over = cancel_new();

	cancel_fire(over, E_CANCELLED); /* asks, and does not wait */
	if (build_context_begin(c, NULL) == OK &&
	    build_context_take_list(c, (const Imaged__V1__ContextList *)list, NULL) == OK &&
	    build_context_wait(c, over, NULL) == OK) {
		all.end = context_list_count(build_context_list(c));
		build_context_need(c, &all, 1, over, NULL);
		while (rest.len) {
			struct arena a;
			struct bytes wire = take_part(&rest);
			const ProtobufCMessage *m;

			arena_init(&a, codec_arena_cap(wire.len));
			m = unpack(&imaged__v1__context_data__descriptor, wire, &a);
			if (m)
				build_context_take_data(c, (const Imaged__V1__ContextData *)m, NULL);
			arena_free(&a);
		}
		look(c);
	}
	cancel_unref(over);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct build_context_peer peer = { want_list, want_files, NULL };
	Imaged__V1__ClientDirectory directory = IMAGED__V1__CLIENT_DIRECTORY__INIT;
	struct contexts *contexts = fuzz_contexts();
	struct bytes rest = { data, size }, wire = take_part(&rest);
	struct context_freed freed;
	struct build_context *c;
	struct digest digest;
	struct arena a;
	const ProtobufCMessage *list;

	arena_init(&a, codec_arena_cap(wire.len));
	list = unpack(&imaged__v1__context_list__descriptor, wire, &a);
	if (list) {
		digest = digest_of_list((const Imaged__V1__ContextList *)list);
		directory.id = (ProtobufCBinaryData){ 1, (uint8_t *)"f" };
		directory.list_digest = (ProtobufCBinaryData){ 32, digest.bytes };
		if (build_context_open_directory(contexts, "", &directory, &peer, &c, NULL) == OK) {
			send_parts(c, list, rest);
			build_context_close(c, NULL);
			contexts_prune(contexts, &(struct context_limits){ .max_bytes = 0 }, &freed, NULL);
		}
	}
	arena_free(&a);
	return 0;
}
