/* X.client.h and X.client.c: a typed function for each call. Streams of different
 * methods have different struct types, so that mixing them up does not compile. */
#include "proto/plugin/write.h"

/* Function heads, shared by the header (followed by ";") and the source. */

static void head_call(const struct service *s, const struct method *m, struct buf *out)
{
	buf_printf(out,
		   "int %s__call_%s(struct rpc_channel *channel, const struct rpc_call_options *options,\n"
		   "\tconst %s *request, %s **ret_response, struct err *err)",
		   s->lower, m->lower, m->input_c, m->output_c);
}

static void head_response_freep(const struct service *s, const struct method *m, struct buf *out)
{
	buf_printf(out, "void %s__%s_freep(%s **response)", s->lower, m->lower, m->output_c);
}

static void head_open(const struct service *s, const struct method *m, struct buf *out)
{
	buf_printf(out, "int %s__open_%s(struct rpc_channel *channel, const struct rpc_call_options *options,\n\t",
		   s->lower, m->lower);
	if (!m->client_streaming)
		buf_printf(out, "const %s *request, ", m->input_c);
	buf_printf(out, "struct %s__%s_stream **ret_stream, struct err *err)", s->lower, m->lower);
}

static void head_next(const struct service *s, const struct method *m, struct buf *out)
{
	buf_printf(out, "int %s__%s_next(struct %s__%s_stream *stream, const %s **ret_message,\n\tstruct err *err)",
		   s->lower, m->lower, s->lower, m->lower, m->output_c);
}

static void head_write(const struct service *s, const struct method *m, struct buf *out)
{
	buf_printf(out, "int %s__%s_write(struct %s__%s_stream *stream, const %s *message,\n\tstruct err *err)",
		   s->lower, m->lower, s->lower, m->lower, m->input_c);
}

static void head_close_write(const struct service *s, const struct method *m, struct buf *out)
{
	buf_printf(out, "int %s__%s_close_write(struct %s__%s_stream *stream, struct err *err)", s->lower, m->lower,
		   s->lower, m->lower);
}

static void head_end(const struct service *s, const struct method *m, const char *verb, const char *pointer,
		     struct buf *out)
{
	buf_printf(out, "void %s__%s_%s(struct %s__%s_stream %sstream)", s->lower, m->lower, verb, s->lower, m->lower,
		   pointer);
}

/* ---- header ------------------------------------------------------------------------- */

static void declare(struct buf *out)
{
	buf_puts(out, ";\n");
}

static void declare_unary(const struct service *s, const struct method *m, struct buf *out)
{
	head_call(s, m, out);
	declare(out);
	head_response_freep(s, m, out);
	declare(out);
}

static void declare_stream(const struct service *s, const struct method *m, struct buf *out)
{
	buf_printf(out, "struct %s__%s_stream;\n", s->lower, m->lower);
	head_open(s, m, out);
	declare(out);
	if (m->client_streaming) {
		head_write(s, m, out);
		declare(out);
		head_close_write(s, m, out);
		declare(out);
	}
	head_next(s, m, out);
	declare(out);
	head_end(s, m, "cancel", "*", out);
	declare(out);
	head_end(s, m, "free", "*", out);
	declare(out);
	head_end(s, m, "freep", "**", out);
	declare(out);
}

/* ---- source ------------------------------------------------------------------------- */

static void define_unary(const struct service *s, const struct method *m, struct buf *out)
{
	buf_putc(out, '\n');
	head_call(s, m, out);
	buf_printf(out,
		   "\n{\n\tProtobufCMessage *response = 0;\n"
		   "\tint r = rpc_call_unary(channel, &%s__rpc.methods[%s__%s], options,\n"
		   "\t\t(const ProtobufCMessage *)request, &response, err);\n\n"
		   "\tif (r == OK)\n\t\t*ret_response = (%s *)response;\n\treturn r;\n}\n\n",
		   s->lower, s->upper, m->upper, m->output_c);
	head_response_freep(s, m, out);
	buf_puts(out, "\n{\n\tif (*response)\n"
		      "\t\tprotobuf_c_message_free_unpacked((ProtobufCMessage *)*response, 0);\n}\n");
}

static void define_open(const struct service *s, const struct method *m, struct buf *out)
{
	head_open(s, m, out);
	buf_printf(out,
		   "\n{\n\tstruct rpc_stream *stream = 0;\n"
		   "\tint r = rpc_stream_open(channel, &%s__rpc.methods[%s__%s], options,\n\t\t%s, &stream, err);\n\n"
		   "\tif (r == OK)\n\t\t*ret_stream = (struct %s__%s_stream *)stream;\n\treturn r;\n}\n",
		   s->lower, s->upper, m->upper, m->client_streaming ? "0" : "(const ProtobufCMessage *)request",
		   s->lower, m->lower);
}

static void define_writes(const struct service *s, const struct method *m, struct buf *out)
{
	buf_putc(out, '\n');
	head_write(s, m, out);
	buf_puts(out, "\n{\n\treturn rpc_stream_send((struct rpc_stream *)stream, (const ProtobufCMessage *)message, "
		      "err);\n}\n\n");
	head_close_write(s, m, out);
	buf_puts(out, "\n{\n\treturn rpc_stream_close_send((struct rpc_stream *)stream, err);\n}\n");
}

static void define_next(const struct service *s, const struct method *m, struct buf *out)
{
	buf_putc(out, '\n');
	head_next(s, m, out);
	buf_printf(out,
		   "\n{\n\tconst ProtobufCMessage *message = 0;\n"
		   "\tint r = rpc_stream_next((struct rpc_stream *)stream, &message, err);\n\n"
		   "\tif (r > 0)\n\t\t*ret_message = (const %s *)message;\n\treturn r;\n}\n\n",
		   m->output_c);
}

static void define_ends(const struct service *s, const struct method *m, struct buf *out)
{
	head_end(s, m, "cancel", "*", out);
	buf_puts(out, "\n{\n\trpc_stream_cancel((struct rpc_stream *)stream);\n}\n\n");
	head_end(s, m, "free", "*", out);
	buf_puts(out, "\n{\n\trpc_stream_free((struct rpc_stream *)stream);\n}\n\n");
	head_end(s, m, "freep", "**", out);
	buf_puts(out, "\n{\n\trpc_stream_free((struct rpc_stream *)*stream);\n}\n");
}

static void define_stream(const struct service *s, const struct method *m, struct buf *out)
{
	buf_putc(out, '\n');
	define_open(s, m, out);
	if (m->client_streaming)
		define_writes(s, m, out);
	define_next(s, m, out);
	define_ends(s, m, out);
}

static void write_service(const struct service *s, struct pair *out)
{
	for (size_t i = 0; i < s->n_methods; i++) {
		const struct method *m = &s->methods[i];

		buf_putc(&out->header, '\n');
		write_comment(&m->place, "", &out->header);
		if (m->client_streaming || m->server_streaming) {
			declare_stream(s, m, &out->header);
			define_stream(s, m, &out->source);
		} else {
			declare_unary(s, m, &out->header);
			define_unary(s, m, &out->source);
		}
	}
}

void write_client(struct model *m, const struct unit *u, struct pair *out)
{
	write_header_start(m, u, "client", &out->header);
	buf_puts(&out->header,
		 "/*\n * A call returns OK, or a negative code with err filled. What it returned is freed by\n"
		 " * the METHOD_freep() of its method, which accepts the address of NULL.\n"
		 " *\n"
		 " * Streams: METHOD_next() gives 1 and a message that lives until the next one, 0 when the\n"
		 " * server has ended the stream well, or a negative code with the status. METHOD_write()\n"
		 " * fails with E_ABORTED once the server has ended the call; METHOD_next() then tells why.\n */\n");
	write_message_includes(m, u, &out->header);
	buf_printf(&out->header, "#include \"%s.rpc.h\"\n#include \"client/lib/channel.h\"\n", u->stem);
	write_source_start(u, "client", &out->source);
	for (size_t i = 0; i < u->n_services; i++)
		write_service(&u->services[i], out);
	write_header_end(&out->header);
}
