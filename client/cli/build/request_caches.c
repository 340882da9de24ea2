/* --cache-from and --cache-to: "REF" or "type=registry|local|inline,…". */
#include "client/cli/build/fields.h"
#include "client/cli/build/request.h"

static bool is_short_form(const struct fields *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->items[i].value)
			return false;
	return true;
}

static char *value_or(const struct fields *f, const char *key, const char *otherwise)
{
	const char *value = fields_get(f, key);

	return (char *)(value ? value : otherwise);
}

/* ---- from ----------------------------------------------------------------------------------------- */

static int take_directory(struct build_request *q, Imaged__V1__CacheSource *m, const struct fields *f, struct err *err)
{
	const char *path = fields_get(f, "src"), *name = NULL;

	if (!path)
		return fail(err, E_INVALID, "local cache importer requires src");
	name = build_sources_add_directory(&q->sources, path, err);
	if (!name)
		return err_wrap(err, "cache source %.256s", path);
	m->context = (char *)name;
	m->reference = value_or(f, "digest", value_or(f, "tag", ""));
	return OK;
}

static int add_source(struct build_request *q, const char *text, struct err *err)
{
	Imaged__V1__CacheSource *m = arena_alloc(&q->arena, sizeof *m);
	struct fields f;

	if (!m)
		return fail_nomem(err);
	imaged__v1__cache_source__init(m);
	if (fields_parse(text, &q->arena, &f, err) < 0)
		return err->code;
	m->type = value_or(&f, "type", "registry");
	m->reference = is_short_form(&f) ? (char *)text : value_or(&f, "ref", "");
	if (!is_short_form(&f) && !fields_get(&f, "type"))
		return fail(err, E_INVALID, "type required form> \"%.256s\"", text);
	if (!strcmp(m->type, "local")) {
		if (take_directory(q, m, &f, err) < 0)
			return err->code;
	} else if (strcmp(m->type, "registry") != 0) {
		return fail(err, E_INVALID, "failed to solve: unknown cache importer: %.128s", m->type);
	} else if (!*m->reference) {
		return fail(err, E_INVALID, "failed to solve: registry cache importer requires ref");
	}
	q->start.cache_from[q->start.n_cache_from++] = m;
	return OK;
}

/* ---- to ------------------------------------------------------------------------------------------- */

static int take_target(Imaged__V1__CacheTarget *m, const struct fields *f, struct err *err)
{
	const char *mode = fields_get(f, "mode"), *dest = fields_get(f, "dest");
	bool mounts;

	if (mode && strcmp(mode, "min") != 0 && strcmp(mode, "max") != 0)
		return fail(err, E_INVALID, "failed to solve: unknown cache export mode %.64s: \"min\" or \"max\"",
			    mode);
	m->max = mode && !strcmp(mode, "max");
	if (fields_bool(f, "cache-mounts", false, &mounts, err) < 0)
		return err->code;
	m->cache_mounts = mounts;
	if (!strcmp(m->type, "inline"))
		return OK;
	if (!strcmp(m->type, "registry"))
		return *m->reference ? OK
				     : fail(err, E_INVALID, "failed to solve: registry cache exporter requires ref");
	if (strcmp(m->type, "local") != 0)
		return fail(err, E_INVALID, "failed to solve: unknown cache exporter: \"%.128s\"", m->type);
	if (!dest || !*dest)
		return fail(err, E_INVALID, "local cache exporter requires dest");
	m->reference = value_or(f, "tag", "");
	return OK;
}

static int add_target(struct build_request *q, const char *text, struct err *err)
{
	Imaged__V1__CacheTarget *m = arena_alloc(&q->arena, sizeof *m);
	struct fields f;

	if (!m)
		return fail_nomem(err);
	imaged__v1__cache_target__init(m);
	if (fields_parse(text, &q->arena, &f, err) < 0)
		return err->code;
	m->type = value_or(&f, "type", "registry");
	m->reference = is_short_form(&f) ? (char *)text : value_or(&f, "ref", "");
	if (!strcmp(text, "inline")) {
		m->type = (char *)"inline";
		m->reference = (char *)"";
	}
	if (take_target(m, &f, err) < 0)
		return err->code;
	q->start.cache_to[q->start.n_cache_to++] = m;
	/* Each has its number behind those of the outputs, whether something comes or not. */
	return build_outputs_add_cache(&q->outputs, !strcmp(m->type, "local") ? fields_get(&f, "dest") : NULL, err);
}

int request_caches(struct build_request *q, const struct build_options *o, struct err *err)
{
	q->start.cache_from = arena_array(&q->arena, o->cache_from.n, sizeof(Imaged__V1__CacheSource *));
	q->start.cache_to = arena_array(&q->arena, o->cache_to.n, sizeof(Imaged__V1__CacheTarget *));
	if (!q->start.cache_from || !q->start.cache_to)
		return fail_nomem(err);
	for (size_t i = 0; i < o->cache_from.n; i++)
		if (add_source(q, o->cache_from.items[i], err) < 0)
			return err->code;
	for (size_t i = 0; i < o->cache_to.n; i++)
		if (add_target(q, o->cache_to.items[i], err) < 0)
			return err->code;
	return OK;
}
