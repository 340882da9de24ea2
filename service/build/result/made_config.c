/* Configurations of images that were built. */
#include "proto/runtime/codec.h"
#include "service/build/image_copy.h"
#include "service/build/result/history.h"
#include "service/build/result/made.h"
#include "service/build/set.h"

/* What the base's engine wrote for itself says nothing about this image. */
static int forget_origin(struct image_config *c, struct err *err)
{
	struct image_config other = { .container_config = c->container_config };

	image_config_free(&other);
	c->container_config = (struct container_config){ .present = false };
	if (text_set(&c->comment, "", err) < 0 || text_set(&c->docker_version, "", err) < 0)
		return err->code;
	return text_set(&c->container, "", err);
}

static int set_layers(struct made_image *i, struct err *err)
{
	struct digest *diff_ids = calloc(i->n_layers + 1, sizeof *diff_ids);

	if (!diff_ids)
		return fail_nomem(err);
	for (size_t k = 0; k < i->n_layers; k++)
		diff_ids[k] = i->layers[k].facts.diff_id;
	free(i->image.diff_ids);
	i->image.diff_ids = diff_ids;
	i->image.n_diff_ids = i->n_layers;
	return OK;
}

/* ---- times ----------------------------------------------------------------------- */

/* When a configuration that tells no time was first made: a note of the cache. */
static int first_time(struct made *m, const struct image_config *c, struct timestamp *ret_first, struct err *err)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(CONFIG_BYTES_MAX + 64), known = BUF_INIT(STEP_NOTE_MAX);
	struct step_note note;
	int64_t ns = m->r->started_ns;
	int r;

	buf_puts(&body, "when was it made first?");
	if (image_config_write(c, &body, err) < 0)
		return err->code;
	digest_of(DIGEST_SHA256, buf_bytes(&body), &note.key);
	r = m->r->cache ? step_cache_note(m->r->cache, &note.key, &known, err) : E_NOT_FOUND;
	if (r == OK && known.len == sizeof ns) {
		memcpy(&ns, known.data, sizeof ns);
		*ret_first = timestamp_of_ns(ns);
		return OK;
	}
	if (r != OK && r != E_NOT_FOUND)
		return r;
	note.value = (struct bytes){ (const uint8_t *)&ns, sizeof ns };
	*ret_first = timestamp_of_ns(ns);
	return m->r->cache ? step_cache_put_notes(m->r->cache, &note, 1, err) : OK;
}

static int set_history(struct made *m, struct made_image *i, struct err *err)
{
	size_t below = i->built->base ? i->built->base->n_diff_ids : 0;
	CLEANUP(freep) int64_t *layers = calloc(i->n_layers + 1, sizeof *layers);
	struct history_times times = { .base = i->built->base, .layers = layers, .n_layers = i->n_layers - below };
	size_t from = 0;

	if (!layers)
		return fail_nomem(err);
	for (size_t k = below; k < i->n_layers; k++)
		layers[k - below] = i->layers[k].created_ns;
	times.all = (struct timestamp){ .present = m->r->has_epoch, .seconds = m->r->epoch };
	if (history_complete(&i->image, &times, &from, err) < 0)
		return err->code;
	if (i->image.created.present)
		return OK;
	if (first_time(m, &i->image, &times.first, err) < 0)
		return err->code;
	history_date(&i->image, from, &times);
	return OK;
}

/* ---- the document ---------------------------------------------------------------- */

/* Behind the last member, since it is none that others know. */
static int add_cache(struct made_image *i, struct err *err)
{
	struct buf *body = &i->config.body;

	if (!i->cache.len)
		return OK;
	body->len--;
	buf_puts(body, ",\"imaged.buildcache.v1\":");
	buf_append(body, i->cache.data, i->cache.len);
	buf_putc(body, '}');
	return buf_ok(body) ? OK : fail(err, E_LIMIT, "the cache is too large for an image's configuration");
}

/* As the base has it, or as it was asked for: which of amd64 this machine is says nothing of an image
 * that was made of nothing. */
static void set_platform(const struct made *m, struct made_image *i)
{
	struct platform *p = &i->image.platform;

	if (!*p->os || !*p->architecture)
		*p = i->built->platform;
	if (!i->built->base && !m->r->start->n_platforms && !strcmp(p->architecture, "amd64"))
		*p->variant = 0;
}

static int make_config(struct made *m, struct made_image *i, struct err *err)
{
	size_t bytes;

	if (image_copy(i->built->config, &i->image, &bytes, err) < 0 || forget_origin(&i->image, err) < 0 ||
	    set_layers(i, err) < 0)
		return err->code;
	i->image.config.present = true;
	set_platform(m, i);
	if (set_history(m, i, err) < 0 || image_config_write(&i->image, &i->config.body, err) < 0 ||
	    add_cache(i, err) < 0)
		return err->code;
	i->config.media_type = m->docker_types ? "application/vnd.docker.container.image.v1+json"
					       : "application/vnd.oci.image.config.v1+json";
	made_document_finish(&i->config);
	return OK;
}

int made_configs(struct made *m, struct err *err)
{
	for (size_t i = 0; i < m->n; i++)
		if (make_config(m, &m->images[i], err) < 0)
			return err->code;
	return OK;
}
