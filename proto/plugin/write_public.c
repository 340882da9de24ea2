/* X.h and X.c: the calls of an installed client library. The header is all that a
 * program sees: types and functions begin with the prefix, and nothing of
 * proto/runtime is in it. The source is a thin skin over client/lib/public.h. */
#include "proto/plugin/write.h"

/* The next lines of a function's head, under its first argument. */
#define NEXT ",\n\t\t"

/* Function heads, shared by the header (followed by ";") and the source. */

static void head_call(const char *prefix, const struct method *m, struct buf *out)
{
	buf_printf(out,
		   "int %s_%s(struct %s_channel *channel, const struct %s_call_options *options" NEXT
		   "const %s *request, %s **ret_response" NEXT "struct %s_error *error)",
		   prefix, m->lower, prefix, prefix, m->input_c, m->output_c, prefix);
}

static void head_free_response(const char *prefix, const struct method *m, struct buf *out)
{
	buf_printf(out, "void %s_%s_free(%s *response)", prefix, m->lower, m->output_c);
}

static void head_open(const char *prefix, const struct method *m, struct buf *out)
{
	buf_printf(out, "int %s_%s_open(struct %s_channel *channel, const struct %s_call_options *options" NEXT, prefix,
		   m->lower, prefix, prefix);
	if (!m->client_streaming)
		buf_printf(out, "const %s *request, ", m->input_c);
	buf_printf(out, "struct %s_%s_stream **ret_stream" NEXT "struct %s_error *error)", prefix, m->lower, prefix);
}

static void head_of_stream(const char *prefix, const struct method *m, const char *type, const char *verb,
			   struct buf *out)
{
	buf_printf(out, "%s %s_%s_%s(struct %s_%s_stream *stream", type, prefix, m->lower, verb, prefix, m->lower);
}

static void head_send(const char *prefix, const struct method *m, struct buf *out)
{
	head_of_stream(prefix, m, "int", "send", out);
	buf_printf(out, ", const %s *message" NEXT "struct %s_error *error)", m->input_c, prefix);
}

static void head_close_send(const char *prefix, const struct method *m, struct buf *out)
{
	head_of_stream(prefix, m, "int", "close_send", out);
	buf_printf(out, ", struct %s_error *error)", prefix);
}

static void head_next(const char *prefix, const struct method *m, struct buf *out)
{
	head_of_stream(prefix, m, "int", "next", out);
	buf_printf(out, ", const %s **ret_message" NEXT "struct %s_error *error)", m->output_c, prefix);
}

static void head_end(const char *prefix, const struct method *m, const char *verb, struct buf *out)
{
	head_of_stream(prefix, m, "void", verb, out);
	buf_putc(out, ')');
}

/* ---- header ------------------------------------------------------------------------- */

static void declare(struct buf *out)
{
	buf_puts(out, ";\n");
}

static void declare_unary(const char *prefix, const struct method *m, struct buf *out)
{
	head_call(prefix, m, out);
	declare(out);
	head_free_response(prefix, m, out);
	declare(out);
}

static void declare_stream(const char *prefix, const struct method *m, struct buf *out)
{
	buf_printf(out, "struct %s_%s_stream;\n", prefix, m->lower);
	head_open(prefix, m, out);
	declare(out);
	if (m->client_streaming) {
		head_send(prefix, m, out);
		declare(out);
		head_close_send(prefix, m, out);
		declare(out);
	}
	head_next(prefix, m, out);
	declare(out);
	head_end(prefix, m, "cancel", out);
	declare(out);
	head_end(prefix, m, "free", out);
	declare(out);
}

/* ---- source ------------------------------------------------------------------------- */

static void write_method_table(const struct service *s, const struct method *m, struct buf *out)
{
	buf_printf(out, "&%s__rpc.methods[%s__%s]", s->lower, s->upper, m->upper);
}

static void define_unary(const char *prefix, const struct service *s, const struct method *m, struct buf *out)
{
	buf_putc(out, '\n');
	head_call(prefix, m, out);
	buf_puts(out, "\n{\n\tProtobufCMessage *response = 0;\n\tint r = client_public_call(channel, ");
	write_method_table(s, m, out);
	buf_printf(out,
		   ",\n\t\toptions, (const ProtobufCMessage *)request, ret_response ? &response : 0, error);\n\n"
		   "\tif (r == 0 && ret_response)\n\t\t*ret_response = (%s *)response;\n\treturn r;\n}\n\n",
		   m->output_c);
	head_free_response(prefix, m, out);
	buf_puts(out, "\n{\n\tclient_public_free_response((ProtobufCMessage *)response);\n}\n");
}

static void define_open(const char *prefix, const struct service *s, const struct method *m, struct buf *out)
{
	head_open(prefix, m, out);
	buf_puts(out, "\n{\n\tstruct rpc_stream *stream = 0;\n\tint r = client_public_open(channel, ");
	write_method_table(s, m, out);
	buf_printf(out,
		   ",\n\t\toptions, %s, &stream, error);\n\n"
		   "\tif (r == 0)\n\t\t*ret_stream = (struct %s_%s_stream *)stream;\n\treturn r;\n}\n",
		   m->client_streaming ? "0" : "(const ProtobufCMessage *)request", prefix, m->lower);
}

static void define_sends(const char *prefix, const struct method *m, struct buf *out)
{
	buf_putc(out, '\n');
	head_send(prefix, m, out);
	buf_puts(out,
		 "\n{\n\treturn client_public_send((struct rpc_stream *)stream, (const ProtobufCMessage *)message, "
		 "error);\n}\n\n");
	head_close_send(prefix, m, out);
	buf_puts(out, "\n{\n\treturn client_public_close_send((struct rpc_stream *)stream, error);\n}\n");
}

static void define_next(const char *prefix, const struct method *m, struct buf *out)
{
	buf_putc(out, '\n');
	head_next(prefix, m, out);
	buf_printf(out,
		   "\n{\n\tconst ProtobufCMessage *message = 0;\n"
		   "\tint r = client_public_next((struct rpc_stream *)stream, &message, error);\n\n"
		   "\tif (r > 0)\n\t\t*ret_message = (const %s *)message;\n\treturn r;\n}\n\n",
		   m->output_c);
}

static void define_stream(const char *prefix, const struct service *s, const struct method *m, struct buf *out)
{
	buf_putc(out, '\n');
	define_open(prefix, s, m, out);
	if (m->client_streaming)
		define_sends(prefix, m, out);
	define_next(prefix, m, out);
	head_end(prefix, m, "cancel", out);
	buf_puts(out, "\n{\n\trpc_stream_cancel((struct rpc_stream *)stream);\n}\n\n");
	head_end(prefix, m, "free", out);
	buf_puts(out, "\n{\n\trpc_stream_free((struct rpc_stream *)stream);\n}\n");
}

static void write_service(const char *prefix, const struct service *s, struct pair *out)
{
	for (size_t i = 0; i < s->n_methods; i++) {
		const struct method *m = &s->methods[i];

		buf_putc(&out->header, '\n');
		write_comment(&m->place, "", &out->header);
		if (m->client_streaming || m->server_streaming) {
			declare_stream(prefix, m, &out->header);
			define_stream(prefix, s, m, &out->source);
		} else {
			declare_unary(prefix, m, &out->header);
			define_unary(prefix, s, m, &out->source);
		}
	}
}

static void write_service_comments(const struct unit *u, struct buf *out)
{
	for (size_t i = 0; i < u->n_services; i++) {
		buf_putc(out, '\n');
		write_comment(&u->services[i].place, "", out);
	}
}

void write_public(struct model *m, const struct unit *u, struct pair *out)
{
	const char *prefix = m->public_prefix;

	write_header_start(m, u, "public", &out->header);
	write_message_includes(m, u, &out->header);
	buf_printf(&out->header, "#include \"%s/channel.h\"\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n", prefix);
	write_service_comments(u, &out->header);
	buf_printf(&out->source,
		   "/* Generated by protoc-gen-imaged-c from %s. Do not edit. */\n"
		   "#include \"%s.h\"\n#include \"%s.rpc.h\"\n#include \"client/lib/public.h\"\n",
		   u->file->name, u->stem, u->stem);
	for (size_t i = 0; i < u->n_services; i++)
		write_service(prefix, &u->services[i], out);
	buf_puts(&out->header, "\n#ifdef __cplusplus\n}\n#endif\n");
	write_header_end(&out->header);
}
