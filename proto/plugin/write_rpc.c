/* X.rpc.h and X.rpc.c: the tables of proto/runtime/rpc.h. */
#include "proto/plugin/write.h"

static void write_header_service(const struct service *s, struct buf *out)
{
	buf_putc(out, '\n');
	write_comment(&s->place, "", out);
	buf_printf(out, "extern const struct rpc_service %s__rpc;\n", s->lower);
	if (!s->n_methods)
		return;
	buf_printf(out, "\n/* Index of a method in %s__rpc.methods. */\nenum {\n", s->lower);
	for (size_t i = 0; i < s->n_methods; i++)
		buf_printf(out, "\t%s__%s = %zu,\n", s->upper, s->methods[i].upper, i);
	buf_puts(out, "};\n");
}

static const char *bool_of(bool value)
{
	return value ? "true" : "false";
}

static void write_method(const struct service *s, const struct method *method, struct buf *out)
{
	buf_printf(out, "\t[%s__%s] = {\n", s->upper, method->upper);
	buf_printf(out, "\t\t.name = \"%s\",\n", method->name);
	buf_printf(out, "\t\t.path = \"/%s/%s\",\n", s->full_name, method->name);
	buf_printf(out, "\t\t.input = &%s__descriptor,\n", method->input_lower);
	buf_printf(out, "\t\t.output = &%s__descriptor,\n", method->output_lower);
	buf_puts(out, "\t\t.role = RPC_ROLE_");
	for (const char *p = method->role; *p; p++)
		buf_putc(out, (char)(*p - 'a' + 'A'));
	buf_puts(out, ",\n\t\t.target = ");
	write_literal(method->target, out);
	buf_printf(out, ",\n\t\t.client_streaming = %s,\n", bool_of(method->client_streaming));
	buf_printf(out, "\t\t.server_streaming = %s,\n", bool_of(method->server_streaming));
	buf_printf(out, "\t\t.is_inline = %s,\n", bool_of(method->is_inline));
	buf_printf(out, "\t\t.is_transfer = %s,\n", bool_of(method->is_transfer));
	buf_printf(out, "\t\t.idempotent = %s,\n\t},\n", bool_of(method->idempotent));
}

/* gRPC retries a call before its first reply, and only on these statuses. */
static void make_service_config(const struct service *s, struct buf *out)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_methods; i++) {
		if (!s->methods[i].idempotent)
			continue;
		buf_puts(out, n++ ? "," : "{\"methodConfig\":[{\"name\":[");
		buf_printf(out, "{\"service\":\"%s\",\"method\":\"%s\"}", s->full_name, s->methods[i].name);
	}
	buf_puts(out, n ? "],\"retryPolicy\":{\"maxAttempts\":4,\"initialBackoff\":\"0.01s\",\"maxBackoff\":\"0.2s\","
			  "\"backoffMultiplier\":3,\"retryableStatusCodes\":[\"UNAVAILABLE\"]}}]}"
			: "{}");
}

static void write_service_config(const struct service *s, struct buf *out)
{
	CLEANUP(buf_free) struct buf json = BUF_INIT(out->max);

	make_service_config(s, &json);
	out->failed |= json.failed;
	buf_puts(out, "\t.service_config =\n\t\t");
	write_literal(buf_text(&json), out);
	buf_puts(out, ",\n");
}

static void write_service(struct model *m, const struct unit *u, size_t index, struct buf *out)
{
	const struct service *s = &u->services[index];

	if (s->n_methods) {
		buf_printf(out, "\nstatic const struct rpc_method methods_%zu[] = {\n", index);
		for (size_t i = 0; i < s->n_methods; i++)
			write_method(s, &s->methods[i], out);
		buf_puts(out, "};\n");
	}
	buf_printf(out, "\nconst struct rpc_service %s__rpc = {\n\t.name = \"%s\",\n", s->lower, s->full_name);
	if (s->n_methods)
		buf_printf(out, "\t.methods = methods_%zu,\n\t.n_methods = %zu,\n", index, s->n_methods);
	buf_puts(out, "\t.file = &");
	write_file_id(m, u->file->name, out);
	buf_puts(out, ",\n");
	write_service_config(s, out);
	buf_puts(out, "};\n");
}

void write_rpc(struct model *m, const struct unit *u, struct pair *out)
{
	write_header_start(m, u, "rpc", &out->header);
	buf_puts(&out->header, "#include \"proto/runtime/rpc.h\"\n");
	write_source_start(u, "rpc", &out->source);
	write_message_includes(m, u, &out->source);
	write_files(m, u, &out->source);
	for (size_t i = 0; i < u->n_services; i++) {
		write_header_service(&u->services[i], &out->header);
		write_service(m, u, i, &out->source);
	}
	write_header_end(&out->header);
}
