/* Reflection: everything that is served can be found, and what is found is whole. */
#include "google/protobuf/descriptor.pb-c.h"
#include "grpc/reflection/v1/reflection.client.h"
#include "grpc/reflection/v1alpha/reflection.client.h"
#include "service/rpc/descriptor_scan.h"
#include "service/rpc/reflection.h"
#include "tests/unit/rpc/rig.h"

#define V1(name) grpc__reflection__v1__server_reflection__##name
#define ALPHA(name) grpc__reflection__v1alpha__server_reflection__##name
#define REQUEST(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##name
#define RESPONSE(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name

typedef Grpc__Reflection__V1__ServerReflectionRequest Request;
typedef Grpc__Reflection__V1__ServerReflectionResponse Response;

static struct V1(server_reflection_info_stream) * open_stream(struct rig *r)
{
	struct V1(server_reflection_info_stream) * stream;
	struct err err = ERR_INIT;

	assert_int_equal(V1(open_server_reflection_info)(r->channel, NULL, &stream, &err), OK);
	return stream;
}

static const Response *ask(struct V1(server_reflection_info_stream) * stream, const Request *request)
{
	const Response *response;
	struct err err = ERR_INIT;

	assert_int_equal(V1(server_reflection_info_write)(stream, request, &err), OK);
	assert_int_equal(V1(server_reflection_info_next)(stream, &response, &err), 1);
	assert_string_equal(response->valid_host, request->host);
	assert_non_null(response->original_request);
	assert_int_equal(response->original_request->message_request_case, request->message_request_case);
	return response;
}

static const Response *ask_symbol(struct V1(server_reflection_info_stream) * stream, const char *symbol)
{
	Request request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;

	request.message_request_case = REQUEST(FILE_CONTAINING_SYMBOL);
	request.file_containing_symbol = (char *)symbol;
	return ask(stream, &request);
}

static const Response *ask_extension(struct V1(server_reflection_info_stream) * stream, const char *type,
				     int32_t number)
{
	Request request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
	Grpc__Reflection__V1__ExtensionRequest extension = GRPC__REFLECTION__V1__EXTENSION_REQUEST__INIT;

	request.message_request_case = REQUEST(FILE_CONTAINING_EXTENSION);
	request.file_containing_extension = &extension;
	extension.containing_type = (char *)type;
	extension.extension_number = number;
	return ask(stream, &request);
}

static Google__Protobuf__FileDescriptorProto *file_of(const Response *response, size_t i)
{
	const ProtobufCBinaryData *b;
	Google__Protobuf__FileDescriptorProto *file;

	assert_int_equal(response->message_response_case, RESPONSE(FILE_DESCRIPTOR_RESPONSE));
	assert_true(i < response->file_descriptor_response->n_file_descriptor_proto);
	b = &response->file_descriptor_response->file_descriptor_proto[i];
	file = google__protobuf__file_descriptor_proto__unpack(NULL, b->len, b->data);
	assert_non_null(file);
	return file;
}

/* All that the files import is among them, each file once. */
static void check_closure(const Response *response)
{
	size_t n = response->file_descriptor_response->n_file_descriptor_proto;
	Google__Protobuf__FileDescriptorProto *files[64];

	assert_true(n && n < ARRAY_LEN(files));
	for (size_t i = 0; i < n; i++)
		files[i] = file_of(response, i);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < files[i]->n_dependency; k++) {
			unsigned found = 0;

			for (size_t j = 0; j < n; j++)
				found += !strcmp(files[j]->name, files[i]->dependency[k]);
			assert_int_equal(found, 1);
		}
	}
	for (size_t i = 0; i < n; i++)
		google__protobuf__file_descriptor_proto__free_unpacked(files[i], NULL);
}

static void check_first_file(const Response *response, const char *name)
{
	Google__Protobuf__FileDescriptorProto *file = file_of(response, 0);

	assert_string_equal(file->name, name);
	google__protobuf__file_descriptor_proto__free_unpacked(file, NULL);
	check_closure(response);
}

static void check_error(const Response *response, enum grpc_code code)
{
	assert_int_equal(response->message_response_case, RESPONSE(ERROR_RESPONSE));
	assert_int_equal(response->error_response->error_code, code);
}

static void all_services_are_listed(void **state)
{
	static const char *const expected[] = { "echo.v1.EchoService", "grpc.health.v1.Health",
						"grpc.reflection.v1.ServerReflection",
						"grpc.reflection.v1alpha.ServerReflection" };
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	CLEANUP(grpc__reflection__v1__server_reflection__server_reflection_info_freep)
	struct V1(server_reflection_info_stream) *stream = open_stream(r);
	Request request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
	const Response *response;

	(void)state;
	request.host = (char *)"host";
	request.message_request_case = REQUEST(LIST_SERVICES);
	request.list_services = (char *)"";
	response = ask(stream, &request);
	assert_int_equal(response->message_response_case, RESPONSE(LIST_SERVICES_RESPONSE));
	assert_int_equal(response->list_services_response->n_service, ARRAY_LEN(expected));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++)
		assert_string_equal(response->list_services_response->service[i]->name, expected[i]);
}

static void every_kind_of_symbol_leads_to_its_file_and_all_that_it_imports(void **state)
{
	static const struct {
		const char *symbol, *file;
	} rows[] = {
		{ "echo.v1.EchoService", "echo/v1/echo_service.proto" },
		{ "echo.v1.EchoService.Chat", "echo/v1/echo_service.proto" },
		{ "echo.v1.EchoRequest", "echo/v1/echo.proto" },
		{ "echo.v1.EchoRequest.negative", "echo/v1/echo.proto" },
		{ "echo.v1.EchoRequest.LabelsEntry", "echo/v1/echo.proto" },
		{ "echo.v1.Inner.Leaf", "echo/v1/echo.proto" },
		{ "echo.v1.Inner.Leaf.raw", "echo/v1/echo.proto" },
		{ "echo.v1.Color", "echo/v1/echo.proto" },
		{ "echo.v1.WhoAmIResponse.Kind", "echo/v1/echo.proto" },
		{ "echo.v1.inline", "echo/v1/options.proto" },
		{ "google.protobuf.Timestamp", "google/protobuf/timestamp.proto" },
		{ "google.protobuf.MethodOptions", "google/protobuf/descriptor.proto" },
		{ "grpc.health.v1.Health.Watch", "grpc/health/v1/health.proto" },
		{ "grpc.reflection.v1.ExtensionRequest", "grpc/reflection/v1/reflection.proto" },
		{ "grpc.reflection.v1alpha.ExtensionRequest", "grpc/reflection/v1alpha/reflection.proto" },
	};
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	CLEANUP(grpc__reflection__v1__server_reflection__server_reflection_info_freep)
	struct V1(server_reflection_info_stream) *stream = open_stream(r);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check_first_file(ask_symbol(stream, rows[i].symbol), rows[i].file);
}

static void file_is_found_by_its_import_path(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	CLEANUP(grpc__reflection__v1__server_reflection__server_reflection_info_freep)
	struct V1(server_reflection_info_stream) *stream = open_stream(r);
	Request request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;

	(void)state;
	request.message_request_case = REQUEST(FILE_BY_FILENAME);
	request.file_by_filename = (char *)"google/protobuf/descriptor.proto";
	check_first_file(ask(stream, &request), "google/protobuf/descriptor.proto");
}

static void extension_is_found_by_type_and_number(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	CLEANUP(grpc__reflection__v1__server_reflection__server_reflection_info_freep)
	struct V1(server_reflection_info_stream) *stream = open_stream(r);
	Request request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
	const Response *response;

	(void)state;
	check_first_file(ask_extension(stream, "google.protobuf.MethodOptions", 51001), "echo/v1/options.proto");
	request.message_request_case = REQUEST(ALL_EXTENSION_NUMBERS_OF_TYPE);
	request.all_extension_numbers_of_type = (char *)"google.protobuf.MethodOptions";
	response = ask(stream, &request);
	assert_int_equal(response->message_response_case, RESPONSE(ALL_EXTENSION_NUMBERS_RESPONSE));
	assert_string_equal(response->all_extension_numbers_response->base_type_name, "google.protobuf.MethodOptions");
	assert_int_equal(response->all_extension_numbers_response->n_extension_number, 1);
	assert_int_equal(response->all_extension_numbers_response->extension_number[0], 51001);
	request.all_extension_numbers_of_type = (char *)"echo.v1.EchoRequest";
	response = ask(stream, &request);
	assert_int_equal(response->all_extension_numbers_response->n_extension_number, 0);
}

static void unknown_names_are_errors_in_the_response(void **state)
{
	static const char *const symbols[] = {
		"", ".", "echo.v1", "echo.v1.EchoServic", "echo.v1.EchoService.", ".echo.v1.EchoService", "EchoService"
	};
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	CLEANUP(grpc__reflection__v1__server_reflection__server_reflection_info_freep)
	struct V1(server_reflection_info_stream) *stream = open_stream(r);
	Request request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(symbols); i++)
		check_error(ask_symbol(stream, symbols[i]), GRPC_CODE_NOT_FOUND);
	check_error(ask_extension(stream, "google.protobuf.MethodOptions", 51003), GRPC_CODE_NOT_FOUND);
	check_error(ask_extension(stream, "google.protobuf.MethodOptions", 0), GRPC_CODE_NOT_FOUND);
	check_error(ask_extension(stream, "no.Type", 1), GRPC_CODE_NOT_FOUND);
	check_error(ask(stream, &request), GRPC_CODE_INVALID_ARGUMENT); /* no question */
	request.message_request_case = REQUEST(ALL_EXTENSION_NUMBERS_OF_TYPE);
	request.all_extension_numbers_of_type = (char *)"no.Type";
	check_error(ask(stream, &request), GRPC_CODE_NOT_FOUND);
	/* The call lives on. */
	check_first_file(ask_symbol(stream, "echo.v1.Color"), "echo/v1/echo.proto");
}

static void older_version_answers_the_same(void **state)
{
	CLEANUP(rig_freep) struct rig *r = rig_new(NULL);
	CLEANUP(grpc__reflection__v1alpha__server_reflection__server_reflection_info_freep)
	struct ALPHA(server_reflection_info_stream) *stream = NULL;
	Grpc__Reflection__V1alpha__ServerReflectionRequest request =
		GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_REQUEST__INIT;
	const Grpc__Reflection__V1alpha__ServerReflectionResponse *response;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(ALPHA(open_server_reflection_info)(r->channel, NULL, &stream, &err), OK);
	request.message_request_case =
		GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL;
	request.file_containing_symbol = (char *)"echo.v1.EchoService";
	assert_int_equal(ALPHA(server_reflection_info_write)(stream, &request, &err), OK);
	assert_int_equal(ALPHA(server_reflection_info_next)(stream, &response, &err), 1);
	assert_int_equal(
		response->message_response_case,
		GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE);
	assert_int_equal(response->file_descriptor_response->n_file_descriptor_proto, 5);
	assert_int_equal(ALPHA(server_reflection_info_close_write)(stream, &err), OK);
	assert_int_equal(ALPHA(server_reflection_info_next)(stream, &response, &err), 0);
}

/* ---- the walk over descriptors ---- */

static bool count_extension(void *arg, const struct extension_found *e)
{
	(void)e;
	return ++*(unsigned *)arg < 1000;
}

static unsigned extensions_in(const void *wire, size_t len)
{
	unsigned n = 0;

	descriptor_scan_extensions((struct bytes){ wire, len }, count_extension, &n);
	return n;
}

static void scan_finds_nested_extensions_and_survives_garbage(void **state)
{
	/* file.message_type.nested_type.extension, and file.extension */
	static const uint8_t nested[] = { 0x22, 6, 0x1a, 4, 0x32, 2, 0x18, 5, 0x3a, 2, 0x18, 9 };

	(void)state;
	assert_int_equal(extensions_in(nested, sizeof nested), 2);
	for (size_t len = 0; len < sizeof nested; len++)
		assert_true(extensions_in(nested, len) <= 2);
	assert_int_equal(extensions_in("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11), 0);
	assert_int_equal(extensions_in("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12), 0);
	assert_int_equal(extensions_in("\x0b\x0c\x0f", 3), 0);
}

static void scan_is_not_led_too_deep(void **state)
{
	uint8_t deep[200];
	size_t n = sizeof deep;

	(void)state;
	for (size_t i = 0; i < n; i += 2) {
		deep[i] = i ? 0x1a : 0x22;
		deep[i + 1] = (uint8_t)(n - i - 2);
	}
	assert_int_equal(extensions_in(deep, n), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_services_are_listed),
		cmocka_unit_test(every_kind_of_symbol_leads_to_its_file_and_all_that_it_imports),
		cmocka_unit_test(file_is_found_by_its_import_path),
		cmocka_unit_test(extension_is_found_by_type_and_number),
		cmocka_unit_test(unknown_names_are_errors_in_the_response),
		cmocka_unit_test(older_version_answers_the_same),
		cmocka_unit_test(scan_finds_nested_extensions_and_survives_garbage),
		cmocka_unit_test(scan_is_not_led_too_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
