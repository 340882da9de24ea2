/* The generator on requests that protoc does not make. */
#include "google/protobuf/compiler/plugin.pb-c.h"
#include "proto/plugin/plugin.h"
#include "proto/runtime/codec.h"
#include "tests/unit/plugin/plugin_test.h"

typedef Google__Protobuf__Compiler__CodeGeneratorResponse Response;

/* A request for one file "x.proto" that holds a service S with a method M. */
struct request {
	Google__Protobuf__Compiler__CodeGeneratorRequest request;
	Google__Protobuf__FileDescriptorProto file;
	Google__Protobuf__ServiceDescriptorProto service;
	Google__Protobuf__MethodDescriptorProto method;
	Google__Protobuf__DescriptorProto message;
	char *names[1];
	Google__Protobuf__FileDescriptorProto *files[1];
	Google__Protobuf__ServiceDescriptorProto *services[1];
	Google__Protobuf__MethodDescriptorProto *methods[1];
	Google__Protobuf__DescriptorProto *messages[1];
};

static char path[] = "x.proto", syntax[] = "proto3", service_name[] = "S", method_name[] = "M", type[] = ".T",
	    message_name[] = "T", parameter[] = "role=read";

static void request_init(struct request *q)
{
	google__protobuf__compiler__code_generator_request__init(&q->request);
	google__protobuf__file_descriptor_proto__init(&q->file);
	google__protobuf__service_descriptor_proto__init(&q->service);
	google__protobuf__method_descriptor_proto__init(&q->method);
	google__protobuf__descriptor_proto__init(&q->message);
	q->request.parameter = parameter;
	q->names[0] = q->file.name = path;
	q->file.syntax = syntax;
	q->service.name = service_name;
	q->method.name = method_name;
	q->method.input_type = q->method.output_type = type;
	q->message.name = message_name;
	q->files[0] = &q->file;
	q->services[0] = &q->service;
	q->methods[0] = &q->method;
	q->messages[0] = &q->message;
	q->request.file_to_generate = q->names;
	q->request.proto_file = q->files;
	q->file.service = q->services;
	q->service.method = q->methods;
	q->file.message_type = q->messages;
	q->request.n_file_to_generate = q->request.n_proto_file = q->file.n_service = q->service.n_method =
		q->file.n_message_type = 1;
}

static Response *run(const struct request *q)
{
	CLEANUP(buf_free) struct buf in = BUF_INIT(1024 * 1024);
	CLEANUP(buf_free) struct buf out = BUF_INIT(PLUGIN_OUTPUT_MAX);
	struct err err = ERR_INIT;
	Response *response;

	in.len += protobuf_c_message_pack(&q->request.base, buf_reserve(&in, 1024 * 1024));
	assert_int_equal(plugin_run(buf_bytes(&in), &out, &err), OK);
	response = google__protobuf__compiler__code_generator_response__unpack(NULL, out.len, out.data);
	assert_non_null(response);
	assert_int_equal(response->supported_features, 1);
	return response;
}

static void assert_error(const struct request *q, const char *text)
{
	Response *response = run(q);

	assert_non_null(response->error);
	assert_contains(response->error, text);
	assert_int_equal(response->n_file, 0);
	google__protobuf__compiler__code_generator_response__free_unpacked(response, NULL);
}

static void request_gives_three_pairs(UNUSED void **state)
{
	static const char *const names[] = { "x.rpc.h",	   "x.rpc.c",	 "x.server.h",
					     "x.server.c", "x.client.h", "x.client.c" };
	struct request q;
	Response *response;

	request_init(&q);
	response = run(&q);
	assert_null(response->error);
	assert_int_equal(response->n_file, ARRAY_LEN(names));
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_string_equal(response->file[i]->name, names[i]);
	google__protobuf__compiler__code_generator_response__free_unpacked(response, NULL);
}

static void missing_file_is_named(UNUSED void **state)
{
	char other[] = "other.proto";
	struct request q;

	request_init(&q);
	q.names[0] = other;
	assert_error(&q, "other.proto: the request does not hold this file");
}

static void missing_type_is_named(UNUSED void **state)
{
	char other[] = ".Other", relative[] = "T";
	struct request q;

	request_init(&q);
	q.method.output_type = other;
	assert_error(&q, "x.proto: the types of method M are not among the files");
	q.method.output_type = relative;
	assert_error(&q, "x.proto: the types of method M are not among the files");
	q.method.output_type = NULL;
	assert_error(&q, "x.proto: the types of method M are not among the files");
}

static void names_that_c_cannot_hold_are_refused(UNUSED void **state)
{
	char bad[] = "S {}; int x", quote[] = "a\".proto";
	struct request q;

	request_init(&q);
	q.service.name = bad;
	assert_error(&q, "is no name for a service");
	request_init(&q);
	q.method.name = bad;
	assert_error(&q, "is no name for a method");
	request_init(&q);
	q.file.package = bad;
	q.method.input_type = q.method.output_type = (char[]){ ".S {}; int x.T" };
	assert_error(&q, "that C cannot hold");
	request_init(&q);
	q.names[0] = q.file.name = quote;
	assert_error(&q, "cannot be written into C");
}

static void group_is_refused(UNUSED void **state)
{
	Google__Protobuf__FieldDescriptorProto field = GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__INIT;
	Google__Protobuf__FieldDescriptorProto *fields[] = { &field };
	char name[] = "g";
	struct request q;

	request_init(&q);
	field.name = name;
	field.has_type = 1;
	field.type = GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_GROUP;
	q.message.field = fields;
	q.message.n_field = 1;
	assert_error(&q, "x.proto: field T.g is a group");
}

static void bytes_that_are_no_request_fail(UNUSED void **state)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
	struct err err = ERR_INIT;

	assert_int_equal(plugin_run(bytes_of("\xff\xff"), &out, &err), E_INVALID);
	assert_contains(err.text, "CodeGeneratorRequest");
}

/* A message in a message in a message …: DescriptorProto.nested_type. */
static void request_that_nests_too_deeply_fails(UNUSED void **state)
{
	enum { LEVELS = 1000 };
	static Google__Protobuf__DescriptorProto nested[LEVELS], *pointers[LEVELS];
	CLEANUP(buf_free) struct buf in = BUF_INIT(1024 * 1024);
	CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
	struct err err = ERR_INIT;
	struct request q;

	request_init(&q);
	for (size_t i = 0; i < LEVELS; i++) {
		google__protobuf__descriptor_proto__init(&nested[i]);
		pointers[i] = &nested[i];
		if (i) {
			nested[i - 1].nested_type = &pointers[i];
			nested[i - 1].n_nested_type = 1;
		}
	}
	q.messages[0] = &nested[0];
	in.len += protobuf_c_message_pack(&q.request.base, buf_reserve(&in, 1024 * 1024));
	assert_int_equal(plugin_run(buf_bytes(&in), &out, &err), E_INVALID);
	assert_contains(err.text, "nest deeper");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_gives_three_pairs),
		cmocka_unit_test(missing_file_is_named),
		cmocka_unit_test(missing_type_is_named),
		cmocka_unit_test(names_that_c_cannot_hold_are_refused),
		cmocka_unit_test(group_is_refused),
		cmocka_unit_test(bytes_that_are_no_request_fail),
		cmocka_unit_test(request_that_nests_too_deeply_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
