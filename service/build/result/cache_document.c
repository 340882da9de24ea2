#include "service/build/result/cache_document.h"

#include <jansson.h>

#include "store/types/image_config.h"
#include "store/types/json.h"

enum { VERSION = 1 };

void cache_document_free(struct cache_document *d)
{
	for (size_t i = 0; d->steps && i < d->n_steps; i++)
		free(d->steps[i].description);
	free(d->steps);
	free(d->diff_ids);
	*d = (struct cache_document){ .n_steps = 0 };
}

/* ---- writing --------------------------------------------------------------------- */

/* jansson refuses to store what is no value, so that a lack of memory on the way shows at the end. */

static json_t *digests_of(const struct digest *digests, size_t n)
{
	json_t *list = json_array();
	char text[DIGEST_TEXT_MAX];

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(list, json_string(digest_text(&digests[i], text)))) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static json_t *step_of(const struct cached_step *s)
{
	char text[DIGEST_TEXT_MAX];

	return json_pack("{s:o, s:s, s:I, s:s}", "keys", digests_of(s->keys, s->n_keys), "diff_id",
			 digest_text(&s->diff_id, text), "created", (json_int_t)s->created_ns, "description",
			 s->description ? s->description : "");
}

static int append(const char *text, size_t len, void *out)
{
	return buf_append(out, text, len) ? 0 : -1;
}

int cache_document_write(const struct cache_document *d, struct buf *out, struct err *err)
{
	CLEANUP(json_decrefp) json_t *document = NULL;
	json_t *steps = json_array();

	for (size_t i = 0; i < d->n_steps; i++)
		if (json_array_append_new(steps, step_of(&d->steps[i]))) {
			json_decref(steps);
			return fail_nomem(err);
		}
	document = json_pack("{s:i, s:o*, s:o}", "version", VERSION, "diff_ids",
			     d->n_diff_ids ? digests_of(d->diff_ids, d->n_diff_ids) : NULL, "steps", steps);
	if (!document)
		return fail_nomem(err);
	if (json_dump_callback(document, append, out, JSON_COMPACT | JSON_PRESERVE_ORDER))
		return fail(err, E_LIMIT, "the cache has too many steps for one document");
	return OK;
}

/* ---- reading --------------------------------------------------------------------- */

static int fail_document(const char *what, struct err *err)
{
	return fail(err, E_BAD_CONTENT, "build cache: %s", what);
}

static int read_digest(const json_t *j, struct digest *ret_digest, struct err *err)
{
	const char *text = json_string_value(j);

	if (!text || digest_parse(text, ret_digest, NULL) < 0)
		return fail_document("a digest is none", err);
	return OK;
}

static int read_digests(const json_t *list, size_t max, struct digest *to, size_t *ret_n, struct err *err)
{
	size_t n = json_array_size(list);

	if (n > max)
		return fail(err, E_LIMIT, "build cache: a list of %zu digests is too long", n);
	for (size_t i = 0; i < n; i++)
		if (read_digest(json_array_get(list, i), &to[i], err) < 0)
			return err ? err->code : E_BAD_CONTENT;
	*ret_n = n;
	return OK;
}

static int read_step(const json_t *j, struct cached_step *s, struct err *err)
{
	const json_t *created = json_object_get(j, "created");
	const char *description = json_string_value(json_object_get(j, "description"));

	if (read_digests(json_object_get(j, "keys"), STEP_KEYS_MAX, s->keys, &s->n_keys, err) < 0 ||
	    read_digest(json_object_get(j, "diff_id"), &s->diff_id, err) < 0)
		return err ? err->code : E_BAD_CONTENT;
	if (!s->n_keys || !json_is_integer(created) || json_integer_value(created) < 0)
		return fail_document("a step has no key or no time", err);
	s->created_ns = json_integer_value(created);
	s->description = strndup(description ? description : "", STEP_TEXT_MAX);
	return s->description ? OK : fail_nomem(err);
}

static int read_steps(const json_t *list, struct cache_document *d, struct err *err)
{
	size_t n = json_array_size(list);

	if (!json_is_array(list))
		return fail_document("it has no steps", err);
	if (n > CACHE_STEPS_MAX)
		return fail(err, E_LIMIT, "build cache: more than %d steps", CACHE_STEPS_MAX);
	d->steps = calloc(n + 1, sizeof *d->steps);
	if (!d->steps)
		return fail_nomem(err);
	for (; d->n_steps < n; d->n_steps++)
		if (read_step(json_array_get(list, d->n_steps), &d->steps[d->n_steps], err) < 0) {
			d->n_steps++;
			return err ? err->code : E_BAD_CONTENT;
		}
	return OK;
}

static int read_document(const json_t *j, struct cache_document *d, struct err *err)
{
	const json_t *version = json_object_get(j, "version"), *diff_ids = json_object_get(j, "diff_ids");

	if (!json_is_integer(version) || json_integer_value(version) != VERSION)
		return fail(err, E_UNSUPPORTED, "build cache: of another version than %d", VERSION);
	d->diff_ids = calloc(MANIFEST_LAYERS_MAX, sizeof *d->diff_ids);
	if (!d->diff_ids)
		return fail_nomem(err);
	if (read_digests(diff_ids, MANIFEST_LAYERS_MAX, d->diff_ids, &d->n_diff_ids, err) < 0)
		return err ? err->code : E_BAD_CONTENT;
	return read_steps(json_object_get(j, "steps"), d, err);
}

static int load(struct bytes json, json_t **ret_document, struct err *err)
{
	json_error_t why = { .text = "" };
	int r = json_read_light(json, JSON_REJECT_DUPLICATES, ret_document, &why, err);

	if (r == E_BAD_CONTENT)
		return fail_document(*why.text ? why.text : "it is too deep or too large", err);
	return r;
}

int cache_document_parse(struct bytes json, struct cache_document *ret_document, struct err *err)
{
	CLEANUP(cache_document_free) struct cache_document d = { .n_steps = 0 };
	CLEANUP(json_decrefp) json_t *j = NULL;
	int r = load(json, &j, err);

	if (r != OK)
		return r;
	if (read_document(j, &d, err) < 0)
		return err ? err->code : E_BAD_CONTENT;
	*ret_document = TAKE(d);
	return OK;
}

static int take_diff_ids(struct bytes config, struct cache_document *d, struct err *err)
{
	CLEANUP(image_config_free) struct image_config image = { .n_history = 0 };

	if (image_config_parse(config, &image, err) < 0)
		return err ? err->code : E_BAD_CONTENT;
	free(d->diff_ids);
	d->diff_ids = TAKE(image.diff_ids);
	d->n_diff_ids = TAKE(image.n_diff_ids);
	return OK;
}

int cache_document_parse_inline(struct bytes config, struct cache_document *ret_document, struct err *err)
{
	CLEANUP(cache_document_free) struct cache_document d = { .n_steps = 0 };
	CLEANUP(json_decrefp) json_t *j = NULL;
	const json_t *cache;
	int r = load(config, &j, err);

	if (r != OK)
		return r;
	cache = json_object_get(j, CACHE_INLINE_KEY);
	if (!cache)
		return fail(err, E_NOT_FOUND, "the image has no build cache in it");
	if (read_document(cache, &d, err) < 0 || take_diff_ids(config, &d, err) < 0)
		return err ? err->code : E_BAD_CONTENT;
	*ret_document = TAKE(d);
	return OK;
}
