#include "proto/plugin/model.h"

#include "proto/plugin/check.h"
#include "proto/plugin/names.h"
#include "proto/plugin/options.h"

/* Field numbers of descriptor.proto, as places use them. */
enum { FILE_MESSAGE = 4, FILE_SERVICE = 6, MESSAGE_NESTED = 3, SERVICE_METHOD = 2 };
/* Far more than any set of .proto files needs. */
enum { MODEL_MEMORY = 256 * 1024 * 1024 };

/* ---- types ------------------------------------------------------------------------ */

static size_t count_types(const MessageProto *message)
{
	size_t n = 1;

	for (size_t i = 0; i < message->n_nested_type; i++)
		n += count_types(message->nested_type[i]);
	return n;
}

static bool add_type(struct model *m, const char *scope, const MessageProto *message, struct place place)
{
	const char *name = arena_printf(&m->arena, "%s%s%s", scope, *scope ? "." : "", text_of(message->name));

	if (!name)
		return false;
	m->types[m->n_types++] = (struct type){ .full_name = name, .proto = message, .place = place };
	for (size_t i = 0; i < message->n_nested_type; i++)
		if (!add_type(m, name, message->nested_type[i], place_of(&m->arena, &place, MESSAGE_NESTED, i)))
			return false;
	return true;
}

static int compare_types(const void *a, const void *b)
{
	return strcmp(((const struct type *)a)->full_name, ((const struct type *)b)->full_name);
}

static bool add_file(struct model *m, const FileProto *file)
{
	struct place top = { .file = file };

	for (size_t i = 0; i < file->n_message_type; i++)
		if (!add_type(m, text_of(file->package), file->message_type[i],
			      place_of(&m->arena, &top, FILE_MESSAGE, i)))
			return false;
	return true;
}

int model_init(struct model *m, const GenRequest *request, struct err *err)
{
	size_t n = 0;

	*m = (struct model){ .request = request };
	arena_init(&m->arena, MODEL_MEMORY);
	for (size_t i = 0; i < request->n_proto_file; i++)
		for (size_t k = 0; k < request->proto_file[i]->n_message_type; k++)
			n += count_types(request->proto_file[i]->message_type[k]);
	m->types = arena_array(&m->arena, n, sizeof *m->types);
	if (!m->types)
		return fail_nomem(err);
	for (size_t i = 0; i < request->n_proto_file; i++)
		if (!add_file(m, request->proto_file[i]))
			return fail_nomem(err);
	if (n)
		qsort(m->types, n, sizeof *m->types, compare_types);
	return OK;
}

void model_free(struct model *m)
{
	arena_free(&m->arena);
}

const FileProto *model_file(const struct model *m, const char *path)
{
	for (size_t i = 0; i < m->request->n_proto_file; i++)
		if (!strcmp(text_of(m->request->proto_file[i]->name), path))
			return m->request->proto_file[i];
	return NULL;
}

struct type *model_type(const struct model *m, const char *name)
{
	struct type wanted;

	if (name[0] != '.' || !m->n_types)
		return NULL;
	wanted.full_name = name + 1;
	return bsearch(&wanted, m->types, m->n_types, sizeof *m->types, compare_types);
}

const char *model_stem(struct model *m, const char *path)
{
	static const char *const suffixes[] = { ".proto", ".protodevel" };
	size_t len = strlen(path);

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		size_t suffix = strlen(suffixes[i]);

		if (len > suffix && !strcmp(path + len - suffix, suffixes[i]))
			return arena_bytes(&m->arena, (struct bytes){ (const uint8_t *)path, len - suffix });
	}
	return path;
}

/* ---- services --------------------------------------------------------------------- */

/* The full name that C names are made from: protoc-gen-c lets a file replace its
 * package. NULL without memory. */
static const char *c_full_name(struct model *m, const struct place *place, const char *full_name)
{
	const char *replacement = options_c_package(&m->arena, place->file);
	/* Every place of a model is in a file. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	const char *package = text_of(place->file->package);

	if (!replacement)
		return full_name;
	return arena_printf(&m->arena, "%s%s%s", replacement, *package ? "" : ".", full_name + strlen(package));
}

static int name_message(struct model *m, const struct type *type, const char **ret_c, const char **ret_lower,
			struct err *err)
{
	const char *name = c_full_name(m, &type->place, type->full_name);

	if (!name)
		return fail_nomem(err);
	*ret_c = name_type(&m->arena, name);
	*ret_lower = name_lower(&m->arena, name);
	return *ret_c && *ret_lower ? OK : fail_nomem(err);
}

static int fill_types(struct model *m, struct method *method, struct err *err)
{
	int r;

	method->input = model_type(m, text_of(method->proto->input_type));
	method->output = model_type(m, text_of(method->proto->output_type));
	if (!method->input || !method->output)
		return fail_at(err, &method->place, "the types of method %s are not among the files of the request",
			       method->name);
	r = name_message(m, method->input, &method->input_c, &method->input_lower, err);
	if (r < 0)
		return r;
	return name_message(m, method->output, &method->output_c, &method->output_lower, err);
}

static int fill_method(struct model *m, const MethodProto *proto, struct place place, struct method *method,
		       struct err *err)
{
	*method = (struct method){
		.proto = proto,
		.place = place,
		.name = text_of(proto->name),
		.client_streaming = proto->has_client_streaming && proto->client_streaming,
		.server_streaming = proto->has_server_streaming && proto->server_streaming,
	};
	if (!name_is_identifier(method->name))
		return fail_at(err, &place, "'%s' is no name for a method", method->name);
	method->lower = name_lower(&m->arena, method->name);
	method->upper = name_upper(&m->arena, method->name);
	method->member = method->lower ? name_member(&m->arena, method->lower) : NULL;
	if (!method->upper || !method->member)
		return fail_nomem(err);
	method->role = m->default_role ? m->default_role : "";
	if (options_read(&m->arena, method, err) < 0)
		return E_INVALID;
	return fill_types(m, method, err);
}

static int name_service(struct model *m, const FileProto *file, struct service *s, struct err *err)
{
	const char *package = text_of(file->package), *c_name;

	s->full_name = arena_printf(&m->arena, "%s%s%s", package, *package ? "." : "", text_of(s->proto->name));
	c_name = s->full_name ? c_full_name(m, &s->place, s->full_name) : NULL;
	if (!c_name)
		return fail_nomem(err);
	s->lower = name_lower(&m->arena, c_name);
	s->upper = name_upper(&m->arena, c_name);
	return s->lower && s->upper ? OK : fail_nomem(err);
}

static int fill_service(struct model *m, const FileProto *file, size_t index, struct service *s, struct err *err)
{
	struct place top = { .file = file };
	int r;

	*s = (struct service){ .proto = file->service[index] };
	s->place = place_of(&m->arena, &top, FILE_SERVICE, index);
	if (!name_is_identifier(text_of(s->proto->name)))
		return fail_at(err, &s->place, "'%s' is no name for a service", text_of(s->proto->name));
	r = name_service(m, file, s, err);
	if (r < 0)
		return r;
	s->methods = arena_array(&m->arena, s->proto->n_method, sizeof *s->methods);
	if (!s->methods)
		return fail_nomem(err);
	for (size_t i = 0; i < s->proto->n_method; i++) {
		struct place place = place_of(&m->arena, &s->place, SERVICE_METHOD, i);

		r = fill_method(m, s->proto->method[i], place, &s->methods[i], err);
		if (r < 0)
			return r;
		s->n_methods++;
	}
	return OK;
}

int model_unit(struct model *m, const char *path, struct unit *ret_unit, struct err *err)
{
	struct unit u = { .file = model_file(m, path) };

	if (!u.file)
		return fail(err, E_INVALID, "%s: the request does not hold this file", path);
	u.stem = model_stem(m, path);
	u.services = arena_array(&m->arena, u.file->n_service, sizeof *u.services);
	if (!u.stem || !u.services)
		return fail_nomem(err);
	for (size_t i = 0; i < u.file->n_service; i++) {
		int r = fill_service(m, u.file, i, &u.services[i], err);

		if (r < 0)
			return r;
		u.n_services++;
	}
	if (u.n_services) {
		int r = check_unit(m, &u, err);

		if (r < 0)
			return r;
	}
	*ret_unit = u;
	return OK;
}
