#include "service/rpc/reflection.h"

#include "service/rpc/descriptor_scan.h"

enum { FILES_MAX = 512, NUMBERS_MAX = 512 };

struct reflection {
	const struct rpc_service **services;
	size_t n_services;
	const struct rpc_file **files; /* all that can be reached, each once; FILES_MAX slots */
	size_t n_files;
};

int reflection_new(struct reflection **ret_reflection, struct err *err)
{
	struct reflection *r = calloc(1, sizeof *r);

	if (!r)
		return fail_nomem(err);
	r->files = calloc(FILES_MAX, sizeof *r->files);
	if (!r->files) {
		free(r);
		return fail_nomem(err);
	}
	*ret_reflection = r;
	return OK;
}

void reflection_free(struct reflection *r)
{
	if (!r)
		return;
	free(r->files);
	free(r->services);
	free(r);
}

/* The file and all that it imports, each name once, behind what is there. */
static bool add_closure(const struct rpc_file *file, const struct rpc_file **files, size_t *n)
{
	size_t scanned = *n;

	for (size_t i = 0; i < *n; i++)
		if (!strcmp(files[i]->name, file->name))
			return true;
	if (*n == FILES_MAX)
		return false;
	files[(*n)++] = file;
	for (; scanned < *n; scanned++) {
		for (size_t k = 0; k < files[scanned]->n_imports; k++) {
			const struct rpc_file *import = files[scanned]->imports[k];
			size_t i = 0;

			while (i < *n && strcmp(files[i]->name, import->name))
				i++;
			if (i < *n)
				continue;
			if (*n == FILES_MAX)
				return false;
			files[(*n)++] = import;
		}
	}
	return true;
}

int reflection_add_service(struct reflection *r, const struct rpc_service *service, struct err *err)
{
	const struct rpc_service **bigger = reallocarray(r->services, r->n_services + 1, sizeof *bigger);

	if (!bigger)
		return fail_nomem(err);
	r->services = bigger;
	r->services[r->n_services++] = service;
	if (!add_closure(service->file, r->files, &r->n_files))
		return fail(err, E_LIMIT, "the services import more than %d files", FILES_MAX);
	return OK;
}

/* ---- questions ---- */

static const struct rpc_file *file_named(const struct reflection *r, const char *name)
{
	for (size_t i = 0; i < r->n_files; i++)
		if (!strcmp(r->files[i]->name, name))
			return r->files[i];
	return NULL;
}

static bool defines(const struct rpc_file *file, const char *symbol)
{
	for (size_t i = 0; i < file->n_symbols; i++)
		if (!strcmp(file->symbols[i], symbol))
			return true;
	return false;
}

static const struct rpc_file *file_defining(const struct reflection *r, const char *symbol)
{
	for (size_t i = 0; i < r->n_files; i++)
		if (defines(r->files[i], symbol))
			return r->files[i];
	return NULL;
}

struct extension_query {
	const char *type;
	int32_t number; /* to be found; 0: collect all */
	bool found;
	int32_t *numbers; /* NUMBERS_MAX slots */
	size_t n_numbers;
};

static bool look_at_extension(void *arg, const struct extension_found *e)
{
	struct extension_query *q = arg;
	size_t len = strlen(q->type);

	if (e->extendee.len != len + 1 || memcmp(e->extendee.data + 1, q->type, len))
		return true;
	if (q->number) {
		q->found = q->found || e->number == q->number;
		return !q->found;
	}
	if (q->n_numbers == NUMBERS_MAX)
		return false;
	q->numbers[q->n_numbers++] = e->number;
	return true;
}

static const struct rpc_file *file_extending(const struct reflection *r, const char *type, int32_t number)
{
	struct extension_query q = { .type = type, .number = number };

	for (size_t i = 0; i < r->n_files && number; i++) {
		descriptor_scan_extensions(r->files[i]->descriptor, look_at_extension, &q);
		if (q.found)
			return r->files[i];
	}
	return NULL;
}

static int answer_file(const struct rpc_file *file, const char *name, struct arena *arena,
		       struct reflection_answer *ret_answer, struct err *err)
{
	const struct rpc_file **files;

	if (!file)
		return fail(err, E_NOT_FOUND, "nothing here is called '%s'", name);
	files = arena_array(arena, FILES_MAX, sizeof *files);
	if (!files)
		return fail_nomem(err);
	ret_answer->files = files;
	add_closure(file, files, &ret_answer->n_files); /* a part of what was added before: it fits */
	return OK;
}

static int answer_services(const struct reflection *r, struct arena *arena, struct reflection_answer *ret_answer,
			   struct err *err)
{
	const char **names = arena_array(arena, r->n_services, sizeof *names);

	if (!names)
		return fail_nomem(err);
	for (size_t i = 0; i < r->n_services; i++)
		names[i] = r->services[i]->name;
	ret_answer->services = names;
	ret_answer->n_services = r->n_services;
	return OK;
}

static int answer_numbers(const struct reflection *r, const char *type, struct arena *arena,
			  struct reflection_answer *ret_answer, struct err *err)
{
	struct extension_query q = { .type = type };

	if (!file_defining(r, type))
		return fail(err, E_NOT_FOUND, "there is no type '%s'", type);
	q.numbers = arena_array(arena, NUMBERS_MAX, sizeof *q.numbers);
	if (!q.numbers)
		return fail_nomem(err);
	for (size_t i = 0; i < r->n_files; i++)
		descriptor_scan_extensions(r->files[i]->descriptor, look_at_extension, &q);
	ret_answer->numbers = q.numbers;
	ret_answer->n_numbers = q.n_numbers;
	return OK;
}

int reflection_ask(const struct reflection *r, enum reflection_topic topic, const char *name, int32_t number,
		   struct arena *arena, struct reflection_answer *ret_answer, struct err *err)
{
	*ret_answer = (struct reflection_answer){ 0 };
	switch (topic) {
	case REFLECT_FILE:
		return answer_file(file_named(r, name), name, arena, ret_answer, err);
	case REFLECT_SYMBOL:
		return answer_file(file_defining(r, name), name, arena, ret_answer, err);
	case REFLECT_EXTENSION:
		return answer_file(file_extending(r, name, number), name, arena, ret_answer, err);
	case REFLECT_NUMBERS:
		return answer_numbers(r, name, arena, ret_answer, err);
	case REFLECT_SERVICES:
		return answer_services(r, arena, ret_answer, err);
	}
	return fail(err, E_UNIMPLEMENTED, "no such question");
}
