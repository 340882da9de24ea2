#include "proto/plugin/plugin.h"

#include "proto/plugin/model.h"
#include "proto/plugin/names.h"
#include "proto/plugin/write.h"
#include "proto/runtime/codec.h"

typedef Google__Protobuf__Compiler__CodeGeneratorResponse Response;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse__File ResponseFile;

enum { PARTS = 3 };
/* Unpacked descriptors, protobuf-c's notes about them included. */
enum { REQUEST_MEMORY_FACTOR = 32 };

struct output {
	struct model *model;
	Response response;
	size_t cap; /* of response.file */
};

static int add_file(struct output *o, const char *stem, const char *part, const char *ending, struct buf *content,
		    struct err *err)
{
	ResponseFile *file = arena_alloc(&o->model->arena, sizeof *file);

	if (!file || !buf_ok(content) || o->response.n_file == o->cap)
		return fail_nomem(err);
	google__protobuf__compiler__code_generator_response__file__init(file);
	file->name = arena_printf(&o->model->arena, "%s%s.%s", stem, part, ending);
	file->content = arena_bytes(&o->model->arena, buf_bytes(content));
	if (!file->name || !file->content)
		return fail_nomem(err);
	o->response.file[o->response.n_file++] = file;
	return OK;
}

static void pair_free(struct pair *p)
{
	buf_free(&p->header);
	buf_free(&p->source);
}

static int generate_part(struct output *o, const struct unit *u, const char *part,
			 void (*write)(struct model *, const struct unit *, struct pair *), struct err *err)
{
	CLEANUP(pair_free)
	struct pair pair = { BUF_INIT(PLUGIN_OUTPUT_MAX), BUF_INIT(PLUGIN_OUTPUT_MAX) };
	int r;

	write(o->model, u, &pair);
	r = add_file(o, u->stem, part, "h", &pair.header, err);
	return r < 0 ? r : add_file(o, u->stem, part, "c", &pair.source, err);
}

static int generate_file(struct output *o, const char *path, struct err *err)
{
	struct unit u;
	int r = model_unit(o->model, path, &u, err);

	if (r < 0 || !u.n_services)
		return r;
	if (o->model->public_prefix)
		return generate_part(o, &u, "", write_public, err);
	r = generate_part(o, &u, ".rpc", write_rpc, err);
	if (r == OK)
		r = generate_part(o, &u, ".server", write_server, err);
	if (r == OK)
		r = generate_part(o, &u, ".client", write_client, err);
	return r;
}

/* "public=PREFIX" or "role=ROLE", or nothing. */
static int read_parameter(struct model *m, const char *parameter, struct err *err)
{
	static const char public_is[] = "public=", role_is[] = "role=";

	if (!*parameter)
		return OK;
	if (!strncmp(parameter, role_is, strlen(role_is))) {
		m->default_role = parameter + strlen(role_is);
		return OK;
	}
	if (strncmp(parameter, public_is, strlen(public_is)) != 0)
		return fail(err, E_INVALID,
			    "protoc-gen-imaged-c knows the parameters public=PREFIX and role=ROLE, and was given '%s'",
			    parameter);
	m->public_prefix = parameter + strlen(public_is);
	if (!name_is_identifier(m->public_prefix))
		return fail(err, E_INVALID, "protoc-gen-imaged-c: the prefix '%s' is no C identifier",
			    m->public_prefix);
	return OK;
}

static int generate(struct output *o, const GenRequest *request, struct err *err)
{
	int parameter = read_parameter(o->model, text_of(request->parameter), err);

	if (parameter < 0)
		return parameter;
	o->cap = request->n_file_to_generate * PARTS * 2;
	o->response.file = arena_array(&o->model->arena, o->cap, sizeof(ResponseFile *));
	if (!o->response.file)
		return fail_nomem(err);
	for (size_t i = 0; i < request->n_file_to_generate; i++) {
		int r = generate_file(o, request->file_to_generate[i], err);

		if (r < 0)
			return r;
	}
	return OK;
}

static int pack_response(const Response *response, struct buf *out, struct err *err)
{
	size_t size = protobuf_c_message_get_packed_size(&response->base);
	uint8_t *room = buf_reserve(out, size);

	if (!room)
		return fail_nomem(err);
	protobuf_c_message_pack(&response->base, room);
	out->len += size;
	return OK;
}

static int answer(struct model *m, const GenRequest *request, struct buf *out, struct err *err)
{
	struct output o = { .model = m };
	int r;

	google__protobuf__compiler__code_generator_response__init(&o.response);
	/* Without this bit protoc itself refuses 'optional', and names no line. */
	o.response.has_supported_features = 1;
	o.response.supported_features =
		GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__FEATURE__FEATURE_PROTO3_OPTIONAL;
	r = generate(&o, request, err);
	if (r < 0 && r != E_INVALID)
		return r;
	if (r < 0) {
		o.response.error = err->text;
		o.response.n_file = 0;
	}
	return pack_response(&o.response, out, err);
}

static void model_cleanup(struct model *m)
{
	model_free(m);
}

int plugin_run(struct bytes request, struct buf *response, struct err *err)
{
	CLEANUP(arena_free) struct arena arena;
	CLEANUP(model_cleanup) struct model model = { 0 };
	struct err reason = ERR_INIT;
	ProtobufCMessage *message;
	int r;

	arena_init(&arena, codec_arena_cap(request.len) * REQUEST_MEMORY_FACTOR);
	r = codec_unpack(&google__protobuf__compiler__code_generator_request__descriptor, request, &arena, &message,
			 &reason);
	if (r == OK)
		r = model_init(&model, (const GenRequest *)message, &reason);
	if (r == OK)
		r = answer(&model, (const GenRequest *)message, response, &reason);
	return r < 0 ? fail(err, r, "%s", reason.text) : OK;
}
