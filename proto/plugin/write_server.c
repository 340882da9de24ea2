/* X.server.h and X.server.c: a struct of typed handlers, and what leads to them. */
#include "proto/plugin/write.h"

/* The arguments of a handler, by the kind of the method. */
static void write_handler_type(const struct method *m, struct buf *out)
{
	buf_printf(out, "\tint (*%s)(void *self, struct rpc_call *call,\n\t\t", m->member);
	if (!m->client_streaming)
		buf_printf(out, "const %s *request, ", m->input_c);
	if (!m->server_streaming)
		buf_printf(out, "%s *response, ", m->output_c);
	buf_puts(out, "struct err *err);\n");
}

static void write_impl(const struct service *s, struct buf *out)
{
	buf_printf(out, "\n/* Handlers of %s; the calls of a method without one end with UNIMPLEMENTED.\n",
		   s->full_name);
	buf_puts(out, " * Each returns OK, or a negative code with err filled. */\n");
	buf_printf(out, "struct %s__impl {\n", s->lower);
	for (size_t i = 0; i < s->n_methods; i++) {
		if (i)
			buf_putc(out, '\n');
		write_comment(&s->methods[i].place, "\t", out);
		write_handler_type(&s->methods[i], out);
	}
	if (!s->n_methods)
		buf_puts(out, "\tchar no_methods; /* C has no empty struct */\n");
	buf_puts(out, "};\n");
}

static void write_stream_declarations(const struct service *s, const struct method *m, struct buf *out)
{
	if (m->server_streaming)
		buf_printf(out, "\nint %s__%s_send(struct rpc_call *call, const %s *message, struct err *err);\n",
			   s->lower, m->lower, m->output_c);
	if (m->client_streaming)
		buf_printf(out,
			   "\n/* 1 and a message that lives until the next one, 0 at the end, or a negative code. */\n"
			   "int %s__%s_recv(struct rpc_call *call, const %s **ret_message, struct err *err);\n",
			   s->lower, m->lower, m->input_c);
}

static void write_header_service(const struct service *s, struct buf *out)
{
	write_impl(s, out);
	buf_puts(out, "\n/* For rpc_server_add(); impl and self must outlive the server. */\n");
	buf_printf(out, "struct rpc_binding %s__bind(const struct %s__impl *impl, void *self);\n", s->lower, s->lower);
	for (size_t i = 0; i < s->n_methods; i++)
		write_stream_declarations(s, &s->methods[i], out);
}

/* From the untyped rpc_handler to the typed one. */
static void write_trampoline(const struct service *s, const struct method *m, struct buf *out)
{
	buf_printf(out,
		   "\nstatic int %s__handle_%s(void *self, struct rpc_call *call, const ProtobufCMessage *request,\n"
		   "\tProtobufCMessage *response, const void *impl, struct err *err)\n{\n",
		   s->lower, m->lower);
	buf_printf(out, "\tconst struct %s__impl *typed = impl;\n\n", s->lower);
	if (m->client_streaming)
		buf_puts(out, "\t(void)request;\n");
	if (m->server_streaming)
		buf_puts(out, "\t(void)response;\n");
	buf_printf(out, "\tif (!typed->%s)\n", m->member);
	buf_printf(out, "\t\treturn fail(err, E_UNIMPLEMENTED, \"this server does not implement /%s/%s\");\n",
		   s->full_name, m->name);
	buf_printf(out, "\treturn typed->%s(self, call", m->member);
	if (!m->client_streaming)
		buf_printf(out, ", (const %s *)request", m->input_c);
	if (!m->server_streaming)
		buf_printf(out, ", (%s *)response", m->output_c);
	buf_puts(out, ", err);\n}\n");
}

static void write_stream_functions(const struct service *s, const struct method *m, struct buf *out)
{
	if (m->server_streaming)
		buf_printf(out,
			   "\nint %s__%s_send(struct rpc_call *call, const %s *message, struct err *err)\n{\n"
			   "\treturn rpc_call_send(call, (const ProtobufCMessage *)message, err);\n}\n",
			   s->lower, m->lower, m->output_c);
	if (m->client_streaming)
		buf_printf(out,
			   "\nint %s__%s_recv(struct rpc_call *call, const %s **ret_message, struct err *err)\n{\n"
			   "\tProtobufCMessage *message;\n"
			   "\tint r = rpc_call_recv(call, &message, err);\n\n"
			   "\tif (r > 0)\n\t\t*ret_message = (const %s *)message;\n\treturn r;\n}\n",
			   s->lower, m->lower, m->input_c, m->input_c);
}

static void write_binding(const struct service *s, struct buf *out)
{
	buf_printf(out, "\nstruct rpc_binding %s__bind(const struct %s__impl *impl, void *self)\n{\n", s->lower,
		   s->lower);
	buf_puts(out, "\tstatic rpc_handler *const handlers[] = {\n");
	for (size_t i = 0; i < s->n_methods; i++)
		buf_printf(out, "\t\t[%s__%s] = %s__handle_%s,\n", s->upper, s->methods[i].upper, s->lower,
			   s->methods[i].lower);
	if (!s->n_methods)
		buf_puts(out, "\t\t0,\n");
	buf_printf(out, "\t};\n\n\treturn (struct rpc_binding){ &%s__rpc, handlers, impl, self };\n}\n", s->lower);
}

static void write_source_service(const struct service *s, struct buf *out)
{
	for (size_t i = 0; i < s->n_methods; i++) {
		write_trampoline(s, &s->methods[i], out);
		write_stream_functions(s, &s->methods[i], out);
	}
	write_binding(s, out);
}

void write_server(struct model *m, const struct unit *u, struct pair *out)
{
	write_header_start(m, u, "server", &out->header);
	write_message_includes(m, u, &out->header);
	buf_printf(&out->header, "#include \"%s.rpc.h\"\n#include \"service/rpc/call.h\"\n", u->stem);
	write_source_start(u, "server", &out->source);
	for (size_t i = 0; i < u->n_services; i++) {
		write_header_service(&u->services[i], &out->header);
		write_source_service(&u->services[i], &out->source);
	}
	write_header_end(&out->header);
}
