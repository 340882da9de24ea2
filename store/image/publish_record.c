#include "store/image/publishing.h"

enum { SOURCES_MAX = 8 };

static bool fill_layer(const struct publishing *w, size_t i, struct arena *a, Imaged__Store__V1__LayerEntry **ret_entry)
{
	const struct descriptor *d = &w->p->manifest->layers[i];
	Imaged__Store__V1__LayerEntry *e = arena_alloc(a, sizeof *e);

	if (!e)
		return false;
	imaged__store__v1__layer_entry__init(e);
	e->size = d->size;
	e->media_type = d->media_type;
	e->files_size = w->p->layers[i].files_size;
	*ret_entry = e;
	return digest_to_data(&d->digest, a, &e->digest) && digest_to_data(&w->p->layers[i].diff_id, a, &e->diff_id) &&
	       digest_to_data(&w->chains[i], a, &e->chain_id);
}

static bool fill_layers(const struct publishing *w, struct arena *a, image_record *record)
{
	size_t n = w->p->manifest->n_layers;

	record->layers = arena_array(a, n + 1, sizeof *record->layers);
	if (!record->layers)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!fill_layer(w, i, a, &record->layers[i]))
			return false;
		record->size = add_sizes(record->size, w->p->layers[i].files_size);
	}
	record->n_layers = n;
	return true;
}

static bool fill_labels(const struct string_map *labels, struct arena *a, image_record *record)
{
	size_t n = labels->present ? labels->n : 0;

	record->labels = arena_array(a, n + 1, sizeof *record->labels);
	if (!record->labels)
		return false;
	for (size_t i = 0; i < n; i++) {
		Imaged__Store__V1__ImageRecord__LabelsEntry *e = arena_alloc(a, sizeof *e);

		if (!e)
			return false;
		imaged__store__v1__image_record__labels_entry__init(e);
		e->key = labels->pairs[i].key;
		e->value = labels->pairs[i].value;
		record->labels[i] = e;
	}
	record->n_labels = n;
	return true;
}

static bool fill_platform(const struct platform *p, struct arena *a, image_record *record)
{
	Imaged__Store__V1__PlatformEntry *e = arena_alloc(a, sizeof *e);

	if (!e)
		return false;
	imaged__store__v1__platform_entry__init(e);
	e->os = (char *)p->os;
	e->architecture = (char *)p->architecture;
	e->variant = (char *)p->variant;
	e->os_version = (char *)p->os_version;
	record->platform = e;
	return true;
}

bool publish_fill_sources(const char *source, char *const *old, size_t n_old, struct arena *a, char ***ret_sources,
			  size_t *ret_n)
{
	char **list = arena_array(a, SOURCES_MAX, sizeof *list);
	size_t n = 0;

	if (!list)
		return false;
	if (source && *source)
		list[n++] = (char *)source;
	for (size_t i = 0; i < n_old && n < SOURCES_MAX; i++)
		if (!n || strcmp(old[i], list[0]))
			list[n++] = old[i];
	*ret_sources = list;
	*ret_n = n;
	return true;
}

int publish_fill_record(const struct publishing *w, const image_record *old, struct arena *a, image_record *record,
			struct err *err)
{
	const struct publication *p = w->p;

	imaged__store__v1__image_record__init(record);
	record->media_type = (char *)p->manifest_media_type;
	record->manifest_size = p->manifest_size;
	record->config_size = p->manifest->config.size;
	record->created_seconds = p->config->created.seconds;
	record->created_nanos = p->config->created.nanos;
	record->has_created = p->config->created.present;
	record->synthesized = old ? old->synthesized && !p->source : p->synthesized;
	record->has_user = true;
	record->user = p->config->config.user ? p->config->config.user : (char *)"";
	record->stored_ns = old ? old->stored_ns : p->now_ns;
	if (!digest_to_data(&w->config, a, &record->config) || !fill_layers(w, a, record) ||
	    !fill_labels(&p->config->config.labels, a, record) || !fill_platform(&p->config->platform, a, record) ||
	    !publish_fill_sources(p->source, old ? old->sources : NULL, old ? old->n_sources : 0, a, &record->sources,
				  &record->n_sources))
		return fail_nomem(err);
	return OK;
}
