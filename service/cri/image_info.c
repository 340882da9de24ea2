#include "service/cri/image_info.h"

#include <jansson.h>

#include "service/image/convert.h"

/* Of the topmost layer; "" for an image without layers. */
static int chain_of(const Imaged__Store__V1__ImageRecord *r, char out[DIGEST_TEXT_MAX], struct err *err)
{
	struct digest chain;

	out[0] = 0;
	if (!r->n_layers)
		return OK;
	if (digest_of_record(&r->layers[r->n_layers - 1]->chain_id, &chain, err) < 0)
		return err->code;
	digest_text(&chain, out);
	return OK;
}

static json_t *labels_of(const Imaged__Store__V1__ImageRecord *r)
{
	json_t *labels = json_object();

	for (size_t i = 0; labels && i < r->n_labels; i++)
		if (json_object_set_new(labels, r->labels[i]->key, json_string(r->labels[i]->value)) < 0) {
			json_decref(labels);
			return NULL;
		}
	return labels;
}

static int write_info(const struct image *image, const struct image_content *c, char **ret_text, struct err *err)
{
	CLEANUP(json_decrefp) json_t *info = NULL;
	char chain[DIGEST_TEXT_MAX];
	json_t *config;

	if (chain_of(image->record, chain, err) < 0)
		return err->code;
	config = json_loadb((const char *)c->config_body.data, c->config_body.len, 0, NULL); /* it was parsed before */
	info = json_pack("{s:s, s:o, s:o}", "chainID", chain, "labels", labels_of(image->record), "imageSpec", config);
	*ret_text = info ? json_dumps(info, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
	return *ret_text ? OK : fail_nomem(err);
}

int cri_image_info(struct store *s, struct arena *a, const struct image *image,
		   Runtime__V1__ImageStatusResponse *response, struct err *err)
{
	CLEANUP(image_content_free) struct image_content c = { 0 };
	Runtime__V1__ImageStatusResponse__InfoEntry *entry = arena_alloc(a, sizeof *entry);
	CLEANUP(freep) char *text = NULL;

	response->info = arena_array(a, 1, sizeof *response->info);
	if (!entry || !response->info)
		return fail_nomem(err);
	if (image_content_read(s, image, &c, err) < 0 || write_info(image, &c, &text, err) < 0)
		return err->code;
	runtime__v1__image_status_response__info_entry__init(entry);
	entry->key = arena_string(a, "info");
	entry->value = arena_string(a, text);
	if (!entry->key || !entry->value)
		return fail_nomem(err);
	response->info[0] = entry;
	response->n_info = 1;
	return OK;
}
