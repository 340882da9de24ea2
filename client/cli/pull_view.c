#include "client/cli/pull_view.h"

#include "client/cli/convert.h"
#include "client/cli/format/units.h"

enum {
	EXISTS = IMAGED__V1__LAYER_PROGRESS__STATE__STATE_EXISTS,
	WAITING = IMAGED__V1__LAYER_PROGRESS__STATE__STATE_WAITING,
	DOWNLOADING = IMAGED__V1__LAYER_PROGRESS__STATE__STATE_DOWNLOADING,
	VERIFYING = IMAGED__V1__LAYER_PROGRESS__STATE__STATE_VERIFYING,
	COMPLETE = IMAGED__V1__LAYER_PROGRESS__STATE__STATE_COMPLETE,
	RETRYING = IMAGED__V1__LAYER_PROGRESS__STATE__STATE_RETRYING,
};

static void forget_layers(struct pull_view *v)
{
	for (size_t i = 0; i < v->n_layers; i++)
		free(v->layers[i].digest);
	free(v->layers);
	v->layers = NULL;
	v->n_layers = 0;
}

void pull_view_free(struct pull_view *v)
{
	forget_layers(v);
	progress_free(&v->progress);
}

/* A digest decides: the tag beside it is not looked at. */
static char *shown_reference(const struct reference *ref, char out[REFERENCE_TEXT_MAX])
{
	struct reference shown = *ref;

	if (digest_is_set(&ref->digest))
		shown.tag[0] = 0;
	return reference_familiar(&shown, out);
}

static void start(struct pull_view *v, const struct reference *ref)
{
	char name[REFERENCE_TEXT_MAX];
	bool by_digest = digest_is_set(&ref->digest);

	if (v->started || v->quiet)
		return;
	v->started = v->spoken = true;
	progress_line(&v->progress, "%s: Pulling from %s", by_digest ? shown_reference(ref, name) : ref->tag,
		      ref->path);
}

void pull_view_start(struct pull_view *v)
{
	if (!v->all_tags)
		start(v, v->ref);
}

/* With all tags each begins with its own reference. */
static void start_tag(struct pull_view *v, const char *text)
{
	struct reference ref;

	if (!reference_parse(text, &ref, NULL))
		start(v, &ref);
}

static struct layer_line *find_layer(struct pull_view *v, const char *digest)
{
	for (size_t i = 0; i < v->n_layers; i++)
		if (!strcmp(v->layers[i].digest, digest))
			return &v->layers[i];
	return NULL;
}

static int add_layer(struct pull_view *v, const char *digest, struct layer_line **ret_layer, struct err *err)
{
	struct layer_line *layers = reallocarray(v->layers, v->n_layers + 1, sizeof *layers);
	char *copy = strdup(digest);

	if (layers)
		v->layers = layers;
	if (!layers || !copy) {
		free(copy);
		return fail_nomem(err);
	}
	layers[v->n_layers] = (struct layer_line){ .digest = copy };
	*ret_layer = &layers[v->n_layers++];
	return OK;
}

static int show(struct pull_view *v, const struct layer_line *layer, const char *status,
		const struct progress_count *count, struct err *err)
{
	struct text id = short_id(layer->digest);
	char text[16];

	snprintf(text, sizeof text, "%.*s", (int)id.len, id.data);
	return progress_status(&v->progress, text, status, count, err);
}

/* What exists is only worth a line when something else does not. */
static int show_held_back(struct pull_view *v, struct err *err)
{
	int r = OK;

	for (size_t i = 0; i < v->n_layers && !r; i++)
		if (v->layers[i].held_back) {
			v->layers[i].held_back = false;
			r = show(v, &v->layers[i], "Already exists", NULL, err);
		}
	return r;
}

static int show_downloaded(struct pull_view *v, struct layer_line *layer, struct err *err)
{
	int r;

	if (layer->downloaded)
		return OK;
	layer->downloaded = true;
	r = show(v, layer, "Verifying Checksum", NULL, err);
	return r ? r : show(v, layer, "Download complete", NULL, err);
}

static int show_state(struct pull_view *v, struct layer_line *layer, const Imaged__V1__LayerProgress *m,
		      struct err *err)
{
	struct progress_count count = { m->current, m->total };
	char text[256];
	int r;

	switch ((int)m->state) {
	case DOWNLOADING:
		return show(v, layer, "Downloading", m->current > 0 ? &count : NULL, err);
	case VERIFYING:
		return show_downloaded(v, layer, err);
	case COMPLETE:
		r = show_downloaded(v, layer, err);
		return r ? r : show(v, layer, "Pull complete", NULL, err);
	case RETRYING:
		snprintf(text, sizeof text, "Retrying%s%s", *m->message ? ": " : "", m->message);
		return show(v, layer, text, NULL, err);
	default:
		return OK;
	}
}

/* Statuses that change often are for terminals; others are printed when they are new. */
static bool is_news(const struct pull_view *v, const struct layer_line *layer, const Imaged__V1__LayerProgress *m)
{
	if ((int)m->state == DOWNLOADING)
		return v->progress.terminal && m->current > 0;
	return (int)m->state != layer->state || (int)m->state == RETRYING;
}

static int layer_event(struct pull_view *v, const Imaged__V1__LayerProgress *m, struct err *err)
{
	struct layer_line *layer = find_layer(v, m->digest);
	int r = layer ? OK : add_layer(v, m->digest, &layer, err);

	if (r)
		return r;
	if ((int)m->state == EXISTS) {
		layer->held_back = !layer->state;
		layer->state = EXISTS;
		return OK;
	}
	r = show_held_back(v, err);
	if (!r && !layer->state)
		r = show(v, layer, "Pulling fs layer", NULL, err);
	if (!r && is_news(v, layer, m))
		r = show_state(v, layer, m, err);
	layer->state = (int)m->state;
	return r;
}

static void status_line(struct pull_view *v, bool up_to_date, const char *name)
{
	progress_line(&v->progress, "Status: %s for %s", up_to_date ? "Image is up to date" : "Downloaded newer image",
		      name);
}

static int done_event(struct pull_view *v, const Imaged__V1__PullDone *m, struct err *err)
{
	char text[REFERENCE_TEXT_MAX];
	int r = m->known || m->up_to_date ? OK : show_held_back(v, err);

	if (r)
		return r;
	progress_line(&v->progress, "Digest: %s", m->root_digest);
	if (!v->all_tags)
		status_line(v, m->up_to_date, shown_reference(v->ref, text));
	if (*m->warning)
		progress_line(&v->progress, "WARNING: %s", m->warning);
	return OK;
}

static int tag_event(struct pull_view *v, const Imaged__V1__PullEvent *event, struct err *err)
{
	int r;

	if (v->quiet)
		return OK;
	switch ((int)event->event_case) {
	case IMAGED__V1__PULL_EVENT__EVENT_RESOLVED:
		start_tag(v, event->resolved->reference);
		return OK;
	case IMAGED__V1__PULL_EVENT__EVENT_LAYER:
		return layer_event(v, event->layer, err);
	case IMAGED__V1__PULL_EVENT__EVENT_DONE:
		start_tag(v, event->done->reference);
		r = done_event(v, event->done, err);
		v->newer |= !event->done->up_to_date;
		v->started = false;
		forget_layers(v);
		return r;
	default:
		return OK;
	}
}

void pull_view_end(struct pull_view *v)
{
	char name[REFERENCE_TEXT_MAX];

	if (!v->quiet)
		status_line(v, !v->newer, reference_familiar_name(v->ref, name));
	progress_line(&v->progress, "%s", reference_name(v->ref, name));
}

int pull_view_event(struct pull_view *v, const Imaged__V1__PullEvent *event, struct err *err)
{
	char text[REFERENCE_TEXT_MAX];
	int r = OK;

	if (v->all_tags)
		return tag_event(v, event, err);
	if (!v->quiet) {
		pull_view_start(v);
		if (event->event_case == IMAGED__V1__PULL_EVENT__EVENT_LAYER)
			r = layer_event(v, event->layer, err);
		else if (event->event_case == IMAGED__V1__PULL_EVENT__EVENT_DONE)
			r = done_event(v, event->done, err);
	}
	if (!r && event->event_case == IMAGED__V1__PULL_EVENT__EVENT_DONE)
		progress_line(&v->progress, "%s", reference_text(v->ref, text));
	return r;
}
