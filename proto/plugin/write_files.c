/* Embedded descriptors: what reflection answers from. */
#include "proto/plugin/names.h"
#include "proto/plugin/write.h"

typedef Google__Protobuf__EnumDescriptorProto EnumDescriptor;

void write_file_id(struct model *m, const char *path, struct buf *out)
{
	const char *id = name_path(&m->arena, path);

	if (id)
		buf_printf(out, "rpc_file__%s", id);
	else
		out->failed = true;
}

/* ---- symbols ------------------------------------------------------------------------ */

struct symbols {
	struct buf *out;
	size_t n;
};

static void write_symbol(struct symbols *s, const char *scope, const char *name)
{
	CLEANUP(buf_free) struct buf full = BUF_INIT(64 * 1024);

	buf_printf(&full, "%s%s%s", scope, *scope ? "." : "", text_of(name));
	buf_putc(s->out, '\t');
	write_literal(buf_text(&full), s->out);
	buf_puts(s->out, ",\n");
	s->out->failed |= full.failed;
	s->n++;
}

/* Values of an enum are siblings of the enum. */
static void write_enum_symbols(struct symbols *s, const char *scope, const EnumDescriptor *e)
{
	write_symbol(s, scope, e->name);
	for (size_t i = 0; i < e->n_value; i++)
		write_symbol(s, scope, e->value[i]->name);
}

static void write_message_symbols(struct symbols *s, const char *scope, const MessageProto *message)
{
	CLEANUP(buf_free) struct buf full = BUF_INIT(64 * 1024);
	const char *inside;

	write_symbol(s, scope, message->name);
	buf_printf(&full, "%s%s%s", scope, *scope ? "." : "", text_of(message->name));
	s->out->failed |= full.failed;
	inside = buf_text(&full);
	for (size_t i = 0; i < message->n_field; i++)
		write_symbol(s, inside, message->field[i]->name);
	for (size_t i = 0; i < message->n_oneof_decl; i++)
		write_symbol(s, inside, message->oneof_decl[i]->name);
	for (size_t i = 0; i < message->n_extension; i++)
		write_symbol(s, inside, message->extension[i]->name);
	for (size_t i = 0; i < message->n_enum_type; i++)
		write_enum_symbols(s, inside, message->enum_type[i]);
	for (size_t i = 0; i < message->n_nested_type; i++)
		write_message_symbols(s, inside, message->nested_type[i]);
}

static void write_service_symbols(struct symbols *s, const char *scope, const ServiceProto *service)
{
	CLEANUP(buf_free) struct buf full = BUF_INIT(64 * 1024);

	write_symbol(s, scope, service->name);
	buf_printf(&full, "%s%s%s", scope, *scope ? "." : "", text_of(service->name));
	s->out->failed |= full.failed;
	for (size_t i = 0; i < service->n_method; i++)
		write_symbol(s, buf_text(&full), service->method[i]->name);
}

static size_t write_symbols(const FileProto *file, size_t index, struct buf *out)
{
	CLEANUP(buf_free) struct buf list = BUF_INIT(out->max);
	struct symbols s = { .out = &list };
	const char *package = text_of(file->package);

	for (size_t i = 0; i < file->n_message_type; i++)
		write_message_symbols(&s, package, file->message_type[i]);
	for (size_t i = 0; i < file->n_enum_type; i++)
		write_enum_symbols(&s, package, file->enum_type[i]);
	for (size_t i = 0; i < file->n_extension; i++)
		write_symbol(&s, package, file->extension[i]->name);
	for (size_t i = 0; i < file->n_service; i++)
		write_service_symbols(&s, package, file->service[i]);
	out->failed |= list.failed;
	if (s.n)
		buf_printf(out, "static const char *const symbols_%zu[] = {\n%s};\n", index, buf_text(&list));
	return s.n;
}

/* ---- descriptors ------------------------------------------------------------------ */

/* The file without its source info, which is most of its bytes. */
static void write_descriptor(const FileProto *file, size_t index, struct buf *out)
{
	FileProto stripped = *file;
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(out->max);
	uint8_t *room;
	size_t n;

	stripped.source_code_info = NULL;
	n = protobuf_c_message_get_packed_size(&stripped.base);
	room = buf_reserve(&bytes, n);
	if (!room) {
		out->failed = true;
		return;
	}
	protobuf_c_message_pack(&stripped.base, room);
	buf_printf(out, "static const uint8_t descriptor_%zu[%zu] = {", index, n ? n : 1);
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%s%u,", i % 24 ? "" : "\n\t", room[i]);
	buf_puts(out, n ? "\n};\n" : " 0 };\n");
}

/* ---- import closure --------------------------------------------------------------- */

static size_t index_of(const struct model *m, const FileProto *file)
{
	size_t i = 0;

	while (i < m->request->n_proto_file && m->request->proto_file[i] != file)
		i++;
	return i;
}

static void write_imports(struct model *m, const FileProto *file, size_t index, struct buf *out)
{
	if (!file->n_dependency)
		return;
	buf_printf(out, "static const struct rpc_file *const imports_%zu[] = {\n", index);
	for (size_t i = 0; i < file->n_dependency; i++) {
		buf_puts(out, "\t&");
		write_file_id(m, text_of(file->dependency[i]), out);
		buf_puts(out, ",\n");
	}
	buf_puts(out, "};\n");
}

static void write_one_file(struct model *m, const FileProto *file, bool own, struct buf *out)
{
	size_t index = index_of(m, file), n_symbols;

	buf_printf(out, "\n/* %s */\n", text_of(file->name));
	write_descriptor(file, index, out);
	n_symbols = write_symbols(file, index, out);
	write_imports(m, file, index, out);
	buf_printf(out, "%sconst struct rpc_file ", own ? "" : "__attribute__((weak)) ");
	write_file_id(m, text_of(file->name), out);
	buf_puts(out, " = {\n\t.name = ");
	write_literal(text_of(file->name), out);
	buf_printf(out, ",\n\t.descriptor = { descriptor_%zu, sizeof descriptor_%zu },\n", index, index);
	if (file->n_dependency)
		buf_printf(out, "\t.imports = imports_%zu,\n\t.n_imports = %zu,\n", index, file->n_dependency);
	if (n_symbols)
		buf_printf(out, "\t.symbols = symbols_%zu,\n\t.n_symbols = %zu,\n", index, n_symbols);
	buf_puts(out, "};\n");
}

/* Marks a file and all that it imports. protoc lists files after their imports,
 * so one pass from the end meets every importer before what it imports. */
static bool *mark_closure(struct model *m, const FileProto *file)
{
	size_t n = m->request->n_proto_file;
	bool *wanted = arena_array(&m->arena, n + 1, sizeof *wanted);

	if (!wanted)
		return NULL;
	wanted[index_of(m, file)] = true;
	for (size_t i = n; i > 0; i--) {
		const FileProto *f = m->request->proto_file[i - 1];

		for (size_t k = 0; wanted[i - 1] && k < f->n_dependency; k++) {
			const FileProto *import = model_file(m, text_of(f->dependency[k]));

			if (import)
				wanted[index_of(m, import)] = true;
		}
	}
	return wanted;
}

void write_files(struct model *m, const struct unit *u, struct buf *out)
{
	const bool *wanted = mark_closure(m, u->file);

	out->failed |= !wanted;
	for (size_t i = 0; wanted && i < m->request->n_proto_file; i++)
		if (wanted[i])
			write_one_file(m, m->request->proto_file[i], m->request->proto_file[i] == u->file, out);
}
