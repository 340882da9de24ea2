#include "service/build/session/base_image.h"

#include <pthread.h>

#include "service/build/session/base_layers.h"
#include "service/image/convert.h"
#include "service/image/pull.h"

enum state { SEEKING, CONFIGURED, HERE, FAILED };

struct base_image {
	struct base_images *owner;
	struct base_image *next;
	struct reference ref;
	struct platform platform;
	struct vertex *metadata; /* until the configuration is known */
	pthread_t thread;
	struct digest published; /* what a pull has made of it; of the thread */

	pthread_mutex_t mu; /* guards the rest */
	pthread_cond_t changed;
	enum state state; /* SEEKING → CONFIGURED → HERE, or FAILED from either */
	struct err failure;
	bool pulled;
	struct image_config config; /* from CONFIGURED on constant */
	struct digest manifest;
	struct build_tree *tree; /* HERE */
	struct lease_id lease;
	bool leased;
	struct vertex *shown;
};

struct base_images {
	struct base_images_options options;
	struct base_image *first, **last;
};

int base_images_new(const struct base_images_options *options, struct base_images **ret_images, struct err *err)
{
	struct base_images *b = calloc(1, sizeof *b);

	if (!b)
		return fail_nomem(err);
	b->options = *options;
	b->last = &b->first;
	*ret_images = b;
	return OK;
}

static void let_go(struct base_image *i)
{
	if (i->leased)
		lease_release(i->owner->options.service->store, &i->lease, NULL);
	i->leased = false;
}

static void image_free(struct base_image *i)
{
	let_go(i);
	build_tree_unref(i->tree);
	image_config_free(&i->config);
	pthread_mutex_destroy(&i->mu);
	pthread_cond_destroy(&i->changed);
	free(i);
}

void base_images_free(struct base_images *b)
{
	if (!b)
		return;
	while (b->first) {
		struct base_image *i = b->first;

		b->first = i->next;
		pthread_join(i->thread, NULL);
		image_free(i);
	}
	free(b);
}

/* ---- what is known, as it comes to be known ------------------------------------------- */

static void set_state(struct base_image *i, enum state state)
{
	pthread_mutex_lock(&i->mu);
	i->state = state;
	pthread_cond_broadcast(&i->changed);
	pthread_mutex_unlock(&i->mu);
}

/* Only the image's own thread writes what it reads here. */
static bool is_configured(const struct base_image *i)
{
	return i->state != SEEKING;
}

static int set_config(struct base_image *i, const struct digest *manifest, struct bytes json, struct err *err)
{
	if (is_configured(i))
		return OK;
	if (image_config_parse(json, &i->config, err) < 0)
		return err->code;
	i->manifest = *manifest;
	vertex_done(i->metadata);
	set_state(i, CONFIGURED);
	return OK;
}

/* Of a registry that cannot be reached we know by the first question to it, of its root. BuildKit's
 * first one is that for the manifest, and people look for its words. */
static void word_unreached(const struct base_image *i, struct err *err)
{
	static const char asked[] = "Get \"", answered[] = "unexpected HTTP status";
	char told[ERR_TEXT_MAX], digest[DIGEST_TEXT_MAX];
	const char *root = strstr(err->text, "/v2/\": "), *url = err->text + strlen(asked);

	if ((err->code != E_REGISTRY && err->code != E_TLS) || strncmp(err->text, asked, strlen(asked)) != 0 || !root ||
	    memchr(url, '"', (size_t)(root - url)) || strstr(root, answered))
		return;
	snprintf(told, sizeof told, "%s", err->text);
	snprintf(err->text, sizeof err->text, "failed to do request: Head \"%.*s/v2/%s/manifests/%s%s",
		 (int)(root - url), told + strlen(asked), i->ref.path,
		 digest_is_set(&i->ref.digest) ? digest_text(&i->ref.digest, digest) : i->ref.tag,
		 told + (root - err->text) + strlen("/v2/"));
}

static void tell_unresolved(struct base_image *i, struct err *err)
{
	char familiar[REFERENCE_TEXT_MAX], canonical[REFERENCE_TEXT_MAX];

	word_unreached(i, err);
	vertex_failed(i->metadata, err);
	if (err->code != E_CANCELLED)
		err_wrap(err, "%s: failed to resolve source metadata for %s", reference_familiar(&i->ref, familiar),
			 reference_text(&i->ref, canonical));
}

/* Who shows it from now on ends it. */
static void end(struct base_image *i, enum state state, const struct err *why)
{
	struct vertex *shown;

	pthread_mutex_lock(&i->mu);
	i->state = state;
	i->failure = *why;
	shown = i->shown;
	pthread_cond_broadcast(&i->changed);
	pthread_mutex_unlock(&i->mu);
	if (state == FAILED)
		vertex_failed(shown, why);
	else
		vertex_done(shown);
}

/* ---- from the store ---------------------------------------------------------------------- */

/* Takes what is there of the image; E_NOT_FOUND also when it is not whole. */
static int take_stored(struct base_image *i, const struct digest *manifest, struct err *err)
{
	struct image_service *service = i->owner->options.service;
	CLEANUP(buf_free) struct buf config = BUF_INIT(CONFIG_BYTES_MAX);
	CLEANUP(base_layers_free) struct base_layers layers = { .n = 0 };

	let_go(i); /* of what was not whole */
	if (base_layers_find(service->store, manifest, &layers, err) < 0 ||
	    base_layers_hold(service->store, &layers, &i->lease, &i->leased, err) < 0 ||
	    content_read(service->store, &layers.config, &config, err) < 0 ||
	    set_config(i, manifest, buf_bytes(&config), err) < 0)
		return err->code;
	return base_layers_tree(service->layer_files, &layers, &i->tree, err);
}

static int find_stored(struct base_image *i, struct err *err)
{
	struct digest manifest;
	int r = base_layers_choose(i->owner->options.service->store, &i->ref, &i->platform, &manifest, err);

	return r == OK ? take_stored(i, &manifest, err) : r;
}

/* ---- from a registry ---------------------------------------------------------------------- */

static struct vertex *shown_vertex(struct base_image *i)
{
	struct vertex *v;

	pthread_mutex_lock(&i->mu);
	v = i->shown;
	pthread_mutex_unlock(&i->mu);
	return v;
}

static void tell_layer(struct base_image *i, const Imaged__V1__LayerProgress *m)
{
	bool done = m->state == IMAGED__V1__LAYER_PROGRESS__STATE__STATE_COMPLETE ||
		    m->state == IMAGED__V1__LAYER_PROGRESS__STATE__STATE_EXISTS;

	vertex_status(shown_vertex(i), m->digest, m->current, m->total, done);
}

static int on_event(void *image, const Imaged__V1__PullEvent *event, struct err *err)
{
	struct base_image *i = image;

	switch (event->event_case) {
	case IMAGED__V1__PULL_EVENT__EVENT_LAYER:
		tell_layer(i, event->layer);
		return OK;
	case IMAGED__V1__PULL_EVENT__EVENT_DONE:
		return digest_parse(event->done->manifest_digest, &i->published, err);
	default:
		return OK;
	}
}

/* Where nothing but configurations is wanted, the pull ends with this one. */
static int on_config(void *image, const struct digest *manifest, struct bytes config, struct err *err)
{
	struct base_image *i = image;

	if (set_config(i, manifest, config, err) < 0)
		return err->code;
	return i->owner->options.without_layers ? fail(err, E_ABORTED, "its configuration was all that was wanted")
						: OK;
}

static int pull_it(struct base_image *i, struct err *err)
{
	const struct base_images_options *o = &i->owner->options;
	const struct pull_peer peer = {
		.send = on_event,
		.config = on_config,
		.arg = i,
		.origin = IMAGED__V1__TRANSFER__ORIGIN__ORIGIN_BUILD,
		.cancel = o->cancel,
	};
	Imaged__V1__PullRequest request = IMAGED__V1__PULL_REQUEST__INIT;
	char name[REFERENCE_TEXT_MAX], platform[PLATFORM_TEXT_MAX];
	int r;

	request.reference = reference_text(&i->ref, name);
	request.platform = platform_text(&i->platform, platform);
	request.credentials = (Imaged__V1__Credentials *)credentials_among(o->start->credentials,
									   o->start->n_credentials, i->ref.domain);
	pthread_mutex_lock(&i->mu);
	i->pulled = true;
	pthread_mutex_unlock(&i->mu);
	r = pull_for(o->service, &peer, &request, err);
	if (r == E_ABORTED && is_configured(i))
		return OK;
	return r == OK ? take_stored(i, &i->published, err) : r;
}

/* ---- its thread ----------------------------------------------------------------------------- */

static void *seek(void *image)
{
	struct base_image *i = image;
	struct err err = ERR_INIT;
	bool nameless = !*i->ref.path;
	int r = nameless			? take_stored(i, &i->ref.digest, &err)
		: i->owner->options.start->pull ? E_NOT_FOUND
						: find_stored(i, &err);

	if (r < 0 && !is_configured(i) && !nameless)
		r = pull_it(i, &err);
	if (r < 0 && !is_configured(i))
		tell_unresolved(i, &err);
	end(i, r < 0 ? FAILED : HERE, &err);
	return NULL;
}

static int start(struct base_image *i, struct err *err)
{
	int code = pthread_create(&i->thread, NULL, seek, i);

	return code ? fail(err, E_NO_MEMORY, "no thread for an image: %s", strerror(code)) : OK;
}

static struct base_image *image_new(struct base_images *b, const struct reference *ref, const struct platform *platform)
{
	struct base_image *i = calloc(1, sizeof *i);

	if (!i)
		return NULL;
	i->owner = b;
	i->ref = *ref;
	i->platform = *platform;
	pthread_mutex_init(&i->mu, NULL);
	pthread_cond_init(&i->changed, NULL);
	return i;
}

static struct base_image *find(struct base_images *b, const struct reference *ref, const struct platform *platform)
{
	char wanted[REFERENCE_TEXT_MAX], name[REFERENCE_TEXT_MAX];

	reference_text(ref, wanted);
	for (struct base_image *i = b->first; i; i = i->next)
		if (!strcmp(reference_text(&i->ref, name), wanted) && platform_eq(&i->platform, platform))
			return i;
	return NULL;
}

int base_images_want(struct base_images *b, const char *name, const struct platform *platform,
		     struct base_image **ret_image, struct err *err)
{
	char text[REFERENCE_TEXT_MAX], told[PLATFORM_TEXT_MAX];
	CLEANUP(freep) char *title = NULL;
	struct reference ref;
	struct base_image *i;

	if (reference_parse(name, &ref, err) < 0)
		return err->code;
	if (!digest_is_set(&ref.digest))
		reference_default_tag(&ref);
	i = find(b, &ref, platform);
	if (i) {
		*ret_image = i;
		return OK;
	}
	title = b->options.start->n_platforms > 1
			? format("[%s internal] load metadata for %s", platform_text(platform, told),
				 reference_text(&ref, text))
			: format("[internal] load metadata for %s", reference_text(&ref, text));
	i = title ? image_new(b, &ref, platform) : NULL;
	if (!i)
		return fail_nomem(err);
	i->metadata = progress_begin(b->options.progress, title, NULL);
	if (start(i, err) < 0) {
		image_free(i);
		return err->code;
	}
	*b->last = i;
	b->last = &i->next;
	*ret_image = i;
	return OK;
}

int base_images_want_stored(struct base_images *b, const struct digest *manifest, const struct platform *platform,
			    struct base_image **ret_image, struct err *err)
{
	const struct reference ref = { .digest = *manifest };
	struct base_image *i = find(b, &ref, platform);

	if (!i) {
		i = image_new(b, &ref, platform);
		if (!i)
			return fail_nomem(err);
		if (start(i, err) < 0) {
			image_free(i);
			return err->code;
		}
		*b->last = i;
		b->last = &i->next;
	}
	*ret_image = i;
	return OK;
}

/* ---- for the call's thread -------------------------------------------------------------------- */

/* The image's thread ends with the token. */
static int await(struct base_image *i, enum state state, struct err *err)
{
	int r = OK;

	pthread_mutex_lock(&i->mu);
	while (i->state < state)
		pthread_cond_wait(&i->changed, &i->mu);
	if (i->state == FAILED && i->failure.code) {
		*err = i->failure;
		r = err->code;
	}
	pthread_mutex_unlock(&i->mu);
	return r;
}

int base_image_config(struct base_image *i, const struct image_config **ret_config, struct err *err)
{
	int r = await(i, CONFIGURED, err);

	if (r == OK)
		*ret_config = &i->config;
	return r;
}

const struct reference *base_image_reference(const struct base_image *i)
{
	return &i->ref;
}

const struct platform *base_image_platform(const struct base_image *i)
{
	return &i->platform;
}

const struct digest *base_image_digest(const struct base_image *i)
{
	return &i->manifest;
}

/* "resolve NAME@DIGEST": of what was asked for at a registry. */
static void tell_resolved(struct base_image *i, struct vertex *v)
{
	char name[REFERENCE_TEXT_MAX];
	CLEANUP(freep) char *what = NULL;
	struct reference ref = i->ref;

	ref.digest = i->manifest;
	what = format("resolve %s", reference_text(&ref, name));
	if (what)
		vertex_status(v, what, 0, 0, true);
}

bool base_image_is_stored(struct base_image *i)
{
	bool stored;

	pthread_mutex_lock(&i->mu);
	stored = i->state >= CONFIGURED && i->state != FAILED && !i->pulled;
	pthread_mutex_unlock(&i->mu);
	return stored;
}

void base_image_show(struct base_image *i, struct vertex *v)
{
	enum state state;
	struct err failure;
	bool pulled;

	pthread_mutex_lock(&i->mu);
	state = i->state;
	failure = i->failure;
	pulled = i->pulled;
	i->shown = v;
	pthread_mutex_unlock(&i->mu);
	if (pulled)
		tell_resolved(i, v);
	if (state == FAILED)
		vertex_failed(v, &failure);
	else if (state == HERE)
		vertex_done(v);
}

int base_image_tree(struct base_image *i, struct build_tree **ret_tree, struct err *err)
{
	int r = await(i, HERE, err);

	if (r == OK)
		*ret_tree = build_tree_ref(i->tree);
	return r;
}
