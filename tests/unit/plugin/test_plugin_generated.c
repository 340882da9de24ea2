/* Generated code of odd .proto files: that it compiles, and what it does. The
 * runtime that it calls is replaced by recorders. */
#include <fcntl.h>

#include "google/protobuf/descriptor.pb-c.h"
#include "odd/keywords.client.h"
#include "odd/keywords.server.h"
#include "odd/names.client.h"
#include "odd/names.server.h"
#include "odd/nopackage.client.h"
#include "odd/nopackage.server.h"
#include "odd/options.client.h"
#include "odd/options.server.h"
#include "odd/renamed.client.h"
#include "odd/renamed.server.h"
#include "proto/runtime/buf.h"
#include "tests/unit/plugin/plugin_test.h"

#define HTTP my_pkg__v1alpha__httpproxy__httpservice_v2__rpc

/* ---- recorders ------------------------------------------------------------------------ */

static const void *seen_message, *seen_method, *seen_call;
static ProtobufCMessage *next_message;

int rpc_call_send(struct rpc_call *call, const ProtobufCMessage *message, UNUSED struct err *err)
{
	seen_call = call;
	seen_message = message;
	return OK;
}

int rpc_call_recv(struct rpc_call *call, ProtobufCMessage **ret_message, UNUSED struct err *err)
{
	seen_call = call;
	*ret_message = next_message;
	return next_message ? 1 : 0;
}

int rpc_call_unary(UNUSED struct rpc_channel *c, const struct rpc_method *method,
		   UNUSED const struct rpc_call_options *options, const ProtobufCMessage *request,
		   ProtobufCMessage **ret_response, struct err *err)
{
	seen_method = method;
	seen_message = request;
	if (!next_message)
		return fail(err, E_BUSY, "busy");
	*ret_response = next_message;
	return OK;
}

int rpc_stream_open(UNUSED struct rpc_channel *c, const struct rpc_method *method,
		    UNUSED const struct rpc_call_options *options, const ProtobufCMessage *request,
		    struct rpc_stream **ret_stream, UNUSED struct err *err)
{
	seen_method = method;
	seen_message = request;
	*ret_stream = (struct rpc_stream *)&seen_call;
	return OK;
}

int rpc_stream_send(struct rpc_stream *s, const ProtobufCMessage *message, UNUSED struct err *err)
{
	seen_call = s;
	seen_message = message;
	return OK;
}

int rpc_stream_close_send(struct rpc_stream *s, UNUSED struct err *err)
{
	seen_call = s;
	return OK;
}

int rpc_stream_next(UNUSED struct rpc_stream *s, const ProtobufCMessage **ret_message, UNUSED struct err *err)
{
	*ret_message = next_message;
	return next_message ? 1 : 0;
}

void rpc_stream_cancel(struct rpc_stream *s)
{
	seen_call = s;
}

void rpc_stream_free(struct rpc_stream *s)
{
	seen_call = s;
}

/* ---- tables --------------------------------------------------------------------------- */

static void methods_have_names_paths_types_and_kinds(UNUSED void **state)
{
	const struct rpc_method *m = &HTTP.methods[MY_PKG__V1ALPHA__HTTPPROXY__HTTPSERVICE_V2__GET_URL];

	assert_string_equal(HTTP.name, "my_pkg.V1alpha.HTTPProxy.HTTPService_v2");
	assert_int_equal(HTTP.n_methods, 3);
	assert_string_equal(m->name, "GetURL");
	assert_string_equal(m->path, "/my_pkg.V1alpha.HTTPProxy.HTTPService_v2/GetURL");
	assert_ptr_equal(m->input, &my_pkg__v1alpha__httpproxy__foo_bar__descriptor);
	assert_ptr_equal(m->output, &my_pkg__v1alpha__httpproxy___lead__descriptor);
	assert_false(m->client_streaming || m->server_streaming);
	m = &HTTP.methods[MY_PKG__V1ALPHA__HTTPPROXY__HTTPSERVICE_V2__DO__IT];
	assert_true(m->server_streaming && !m->client_streaming);
	m = &HTTP.methods[MY_PKG__V1ALPHA__HTTPPROXY__HTTPSERVICE_V2__X9Y];
	assert_true(m->client_streaming && !m->server_streaming);
	m = &my_pkg__keywords__rpc.methods[MY_PKG__KEYWORDS__INT];
	assert_true(m->client_streaming && m->server_streaming);
}

static void file_without_package_has_plain_names(UNUSED void **state)
{
	assert_string_equal(greeter__rpc.name, "greeter");
	assert_string_equal(greeter__rpc.methods[GREETER__GREET].path, "/greeter/Greet");
	assert_ptr_equal(greeter__rpc.methods[GREETER__GREET].output, &deep__er__deepest__descriptor);
	assert_string_equal(idle__rpc.name, "Idle");
	assert_int_equal(idle__rpc.n_methods, 0);
}

static void renamed_package_is_for_c_only(UNUSED void **state)
{
	assert_string_equal(shrt__v2__renamed__rpc.name, "long.company.name.Renamed");
	assert_string_equal(shrt__v2__renamed__rpc.methods[0].path, "/long.company.name.Renamed/Get");
	assert_ptr_equal(shrt__v2__renamed__rpc.methods[0].input, &shrt__v2__thing__descriptor);
}

static void options_become_flags(UNUSED void **state)
{
	const struct rpc_method *m = odd__options__rpc.methods;

	assert_true(m[ODD__OPTIONS__INLINE].is_inline);
	assert_false(m[ODD__OPTIONS__PLAIN].is_inline || m[ODD__OPTIONS__NOT_INLINE].is_inline);
	assert_int_equal(m[ODD__OPTIONS__PLAIN].role, RPC_ROLE_WRITE); /* of role=write, in CMakeLists.txt */
	assert_int_equal(m[ODD__OPTIONS__NOT_INLINE].role, RPC_ROLE_NONE);
	assert_int_equal(m[ODD__OPTIONS__READER].role, RPC_ROLE_READ);
	assert_string_equal(m[ODD__OPTIONS__PLAIN].target, "");
	assert_true(m[ODD__OPTIONS__READER].idempotent && m[ODD__OPTIONS__IDEMPOTENT].idempotent);
	assert_false(m[ODD__OPTIONS__PLAIN].idempotent || m[ODD__OPTIONS__UNKNOWN].idempotent);
}

static void service_config_retries_idempotent_methods_only(UNUSED void **state)
{
	assert_string_equal(odd__options__rpc.service_config,
			    "{\"methodConfig\":[{\"name\":[{\"service\":\"odd.Options\",\"method\":\"Reader\"},"
			    "{\"service\":\"odd.Options\",\"method\":\"Idempotent\"}],\"retryPolicy\":{"
			    "\"maxAttempts\":4,\"initialBackoff\":\"0.01s\",\"maxBackoff\":\"0.2s\","
			    "\"backoffMultiplier\":3,\"retryableStatusCodes\":[\"UNAVAILABLE\"]}}]}");
	assert_string_equal(greeter__rpc.service_config, "{}");
}

/* ---- descriptors ------------------------------------------------------------------------ */

static const struct rpc_file *find_file(const struct rpc_file *file, const char *name)
{
	const struct rpc_file *found = !strcmp(file->name, name) ? file : NULL;

	for (size_t i = 0; !found && i < file->n_imports; i++)
		found = find_file(file->imports[i], name);
	return found;
}

static bool has_symbol(const struct rpc_file *file, const char *symbol)
{
	for (size_t i = 0; i < file->n_symbols; i++)
		if (!strcmp(file->symbols[i], symbol))
			return true;
	return false;
}

static void imports_are_embedded_once_for_all_services(UNUSED void **state)
{
	static const char *const names[] = { "odd/deep/a.proto", "odd/deep/b.proto", "odd/deep/c.proto",
					     "google/protobuf/timestamp.proto" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const struct rpc_file *file = find_file(greeter__rpc.file, names[i]);

		assert_non_null(file);
		assert_ptr_equal(file, find_file(odd__options__rpc.file, names[i]));
	}
	assert_ptr_equal(find_file(my_pkg__keywords__rpc.file, "odd/names.proto"), HTTP.file);
	assert_non_null(find_file(odd__options__rpc.file, "google/protobuf/descriptor.proto"));
}

static void symbols_name_everything_in_a_file(UNUSED void **state)
{
	static const char *const names[] = {
		"my_pkg.V1alpha.HTTPProxy.foo_bar",
		"my_pkg.V1alpha.HTTPProxy.foo_bar.int",
		"my_pkg.V1alpha.HTTPProxy.foo_bar.Inner_X",
		"my_pkg.V1alpha.HTTPProxy.foo_bar.Inner_X.a",
		"my_pkg.V1alpha.HTTPProxy.XMLHttp2Req.ByNameEntry.value",
		"my_pkg.V1alpha.HTTPProxy.XMLHttp2Req.either",
		"my_pkg.V1alpha.HTTPProxy.HTTPService_v2",
		"my_pkg.V1alpha.HTTPProxy.HTTPService_v2.do_IT",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_true(has_symbol(HTTP.file, names[i]));
	assert_true(has_symbol(find_file(greeter__rpc.file, "odd/deep/c.proto"), "deep.er.DEPTH_UNSPECIFIED"));
	assert_true(has_symbol(find_file(odd__options__rpc.file, "imaged/v1/options.proto"), "imaged.v1.inline"));
	assert_true(has_symbol(greeter__rpc.file, "Idle"));
	assert_false(has_symbol(greeter__rpc.file, "odd.Options"));
}

static Google__Protobuf__FileDescriptorSet *read_descriptors(void)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(1024 * 1024);
	CLEANUP(closep) int fd = open(DESCRIPTORS, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	while (buf_reserve(&bytes, 4096) && (n = read(fd, bytes.data + bytes.len, 4096)) > 0)
		bytes.len += (size_t)n;
	return google__protobuf__file_descriptor_set__unpack(NULL, bytes.len, bytes.data);
}

static const struct rpc_file *find_anywhere(const char *name)
{
	static const struct rpc_service *const services[] = { &HTTP, &my_pkg__keywords__rpc, &greeter__rpc,
							      &odd__options__rpc, &shrt__v2__renamed__rpc };
	const struct rpc_file *found = NULL;

	for (size_t i = 0; !found && i < ARRAY_LEN(services); i++)
		found = find_file(services[i]->file, name);
	return found;
}

static void descriptors_are_those_of_protoc(UNUSED void **state)
{
	Google__Protobuf__FileDescriptorSet *set = read_descriptors();

	assert_non_null(set);
	assert_true(set->n_file >= 9);
	for (size_t i = 0; i < set->n_file; i++) {
		const struct rpc_file *file = find_anywhere(set->file[i]->name);
		size_t size = protobuf_c_message_get_packed_size(&set->file[i]->base);
		CLEANUP(freep) uint8_t *wanted = malloc(size);

		assert_non_null(file);
		assert_non_null(wanted);
		protobuf_c_message_pack(&set->file[i]->base, wanted);
		assert_int_equal(file->descriptor.len, size);
		assert_memory_equal(file->descriptor.data, wanted, size);
	}
	google__protobuf__file_descriptor_set__free_unpacked(set, NULL);
}

/* ---- handlers --------------------------------------------------------------------------- */

typedef MyPkg__V1alpha__HTTPProxy__Lead Lead;
typedef MyPkg__V1alpha__HTTPProxy__FooBar FooBar;
typedef MyPkg__V1alpha__HTTPProxy__XMLHttp2Req Request;
typedef MyPkg__V1alpha__HTTPProxy__FooBar__InnerX Inner;

static struct rpc_call *const some_call = (struct rpc_call *)&seen_method;

static int on_register(void *self, struct rpc_call *call, const Request *request, Inner *response, struct err *err)
{
	assert_ptr_equal(self, &seen_message);
	assert_ptr_equal(call, some_call);
	assert_int_equal(request->n_texts, 0);
	response->a = 42;
	return fail(err, E_BUSY, "busy");
}

static int on_errno(UNUSED void *self, struct rpc_call *call, Lead *response, struct err *err)
{
	const Lead *message = NULL;

	assert_non_null(response);
	assert_int_equal(my_pkg__keywords__errno_recv(call, &message, err), 1);
	assert_ptr_equal(message, next_message);
	return OK;
}

static int on_int(UNUSED void *self, struct rpc_call *call, struct err *err)
{
	Request message = MY_PKG__V1ALPHA__HTTPPROXY__XMLHTTP2_REQ__INIT;
	const Lead *received;

	assert_int_equal(my_pkg__keywords__int_recv(call, &received, err), 1);
	assert_int_equal(my_pkg__keywords__int_send(call, &message, err), OK);
	assert_ptr_equal(seen_message, &message);
	return OK;
}

static void trampolines_call_the_typed_handlers(UNUSED void **state)
{
	const struct my_pkg__keywords__impl impl = { .register_ = on_register, .errno_ = on_errno, .int_ = on_int };
	struct rpc_binding b = my_pkg__keywords__bind(&impl, &seen_message);
	Request request = MY_PKG__V1ALPHA__HTTPPROXY__XMLHTTP2_REQ__INIT;
	Inner inner = MY_PKG__V1ALPHA__HTTPPROXY__FOO_BAR__INNER__X__INIT;
	Lead lead = MY_PKG__V1ALPHA__HTTPPROXY___LEAD__INIT, sent = lead;
	struct err err = ERR_INIT;

	assert_ptr_equal(b.service, &my_pkg__keywords__rpc);
	next_message = &sent.base;
	assert_int_equal(
		b.handlers[MY_PKG__KEYWORDS__REGISTER](b.self, some_call, &request.base, &inner.base, b.impl, &err),
		E_BUSY);
	assert_int_equal(inner.a, 42);
	assert_int_equal(b.handlers[MY_PKG__KEYWORDS__ERRNO](b.self, some_call, NULL, &lead.base, b.impl, &err), OK);
	assert_int_equal(b.handlers[MY_PKG__KEYWORDS__INT](b.self, some_call, NULL, NULL, b.impl, &err), OK);
	assert_ptr_equal(seen_call, some_call);
}

static void method_without_handler_is_unimplemented(UNUSED void **state)
{
	const struct my_pkg__keywords__impl impl = { .register_ = NULL };
	struct rpc_binding b = my_pkg__keywords__bind(&impl, NULL);

	for (size_t i = 0; i < b.service->n_methods; i++) {
		struct err err = ERR_INIT;

		assert_int_equal(b.handlers[i](NULL, some_call, NULL, NULL, b.impl, &err), E_UNIMPLEMENTED);
		assert_contains(err.text, b.service->methods[i].path);
	}
}

/* ---- stubs ------------------------------------------------------------------------------- */

static void stubs_name_their_method_and_pass_messages(UNUSED void **state)
{
	Request request = MY_PKG__V1ALPHA__HTTPPROXY__XMLHTTP2_REQ__INIT;
	Inner answer = MY_PKG__V1ALPHA__HTTPPROXY__FOO_BAR__INNER__X__INIT, *response = NULL;
	struct err err = ERR_INIT;

	next_message = &answer.base;
	assert_int_equal(my_pkg__keywords__call_register(NULL, NULL, &request, &response, &err), OK);
	assert_ptr_equal(response, &answer);
	assert_ptr_equal(seen_method, &my_pkg__keywords__rpc.methods[MY_PKG__KEYWORDS__REGISTER]);
	assert_ptr_equal(seen_message, &request);
	response = NULL;
	next_message = NULL;
	assert_int_equal(my_pkg__keywords__call_register(NULL, NULL, &request, &response, &err), E_BUSY);
	assert_null(response);
	my_pkg__keywords__register_freep(&response);
}

static void stream_stubs_pass_messages_both_ways(UNUSED void **state)
{
	struct my_pkg__keywords__int_stream *stream = NULL;
	Lead lead = MY_PKG__V1ALPHA__HTTPPROXY___LEAD__INIT;
	Request answer = MY_PKG__V1ALPHA__HTTPPROXY__XMLHTTP2_REQ__INIT;
	const Request *message = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(my_pkg__keywords__open_int(NULL, NULL, &stream, &err), OK);
	assert_ptr_equal(seen_method, &my_pkg__keywords__rpc.methods[MY_PKG__KEYWORDS__INT]);
	assert_null(seen_message);
	assert_int_equal(my_pkg__keywords__int_write(stream, &lead, &err), OK);
	assert_ptr_equal(seen_message, &lead);
	next_message = &answer.base;
	assert_int_equal(my_pkg__keywords__int_next(stream, &message, &err), 1);
	assert_ptr_equal(message, &answer);
	next_message = NULL;
	assert_int_equal(my_pkg__keywords__int_next(stream, &message, &err), 0);
	assert_ptr_equal(message, &answer);
	assert_int_equal(my_pkg__keywords__int_close_write(stream, &err), OK);
	seen_call = NULL;
	my_pkg__keywords__int_cancel(stream);
	assert_ptr_equal(seen_call, stream);
	my_pkg__keywords__int_freep(&stream);
}

static void server_stream_opens_with_its_request(UNUSED void **state)
{
	struct my_pkg__v1alpha__httpproxy__httpservice_v2__do__it_stream *stream = NULL;
	Lead lead = MY_PKG__V1ALPHA__HTTPPROXY___LEAD__INIT;
	struct err err = ERR_INIT;

	assert_int_equal(my_pkg__v1alpha__httpproxy__httpservice_v2__open_do__it(NULL, NULL, &lead, &stream, &err), OK);
	assert_ptr_equal(seen_message, &lead);
	my_pkg__v1alpha__httpproxy__httpservice_v2__do__it_free(stream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(methods_have_names_paths_types_and_kinds),
		cmocka_unit_test(file_without_package_has_plain_names),
		cmocka_unit_test(renamed_package_is_for_c_only),
		cmocka_unit_test(options_become_flags),
		cmocka_unit_test(service_config_retries_idempotent_methods_only),
		cmocka_unit_test(imports_are_embedded_once_for_all_services),
		cmocka_unit_test(symbols_name_everything_in_a_file),
		cmocka_unit_test(descriptors_are_those_of_protoc),
		cmocka_unit_test(trampolines_call_the_typed_handlers),
		cmocka_unit_test(method_without_handler_is_unimplemented),
		cmocka_unit_test(stubs_name_their_method_and_pass_messages),
		cmocka_unit_test(stream_stubs_pass_messages_both_ways),
		cmocka_unit_test(server_stream_opens_with_its_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
