#include "client/cli/push_view.h"

#include "client/cli/convert.h"
#include "client/cli/format/units.h"

enum {
	WAITING = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_WAITING,
	PUSHING = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_PUSHING,
	EXISTS = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_EXISTS,
	MOUNTED = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_MOUNTED,
	COMPLETE = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_COMPLETE,
	RETRYING = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_RETRYING,
	SKIPPED = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_SKIPPED,
};

void push_view_free(struct push_view *v)
{
	for (size_t i = 0; i < v->n_layers; i++) {
		free(v->layers[i].digest);
		free(v->layers[i].shown);
	}
	free(v->layers);
	progress_free(&v->progress);
}

void push_view_start(struct push_view *v)
{
	char name[REFERENCE_TEXT_MAX];

	if (v->started || v->quiet)
		return;
	v->started = true;
	progress_line(&v->progress, "The push refers to repository [%s]", reference_name(v->ref, name));
}

static int started_event(struct push_view *v, const Imaged__V1__PushStarted *m, struct err *err)
{
	if (v->n_layers || !m->n_layers)
		return OK;
	v->layers = calloc(m->n_layers, sizeof *v->layers);
	if (!v->layers)
		return fail_nomem(err);
	for (size_t i = 0; i < m->n_layers; i++) {
		const Imaged__V1__PushLayer *layer = m->layers[i];
		struct text id = short_id(*layer->diff_id ? layer->diff_id : layer->digest);
		struct push_layer_line *line = &v->layers[v->n_layers++];

		line->digest = strdup(layer->digest);
		line->shown = format("%.*s", (int)id.len, id.data);
		if (!line->digest || !line->shown)
			return fail_nomem(err);
	}
	return OK;
}

static struct push_layer_line *find_layer(struct push_view *v, const char *digest)
{
	for (size_t i = 0; i < v->n_layers; i++)
		if (!strcmp(v->layers[i].digest, digest))
			return &v->layers[i];
	return NULL;
}

static const char *status_text(const Imaged__V1__PushProgress *m, char *out, size_t size)
{
	switch ((int)m->state) {
	case WAITING:
		return "Preparing";
	case PUSHING:
		return "Pushing";
	case EXISTS:
		return "Layer already exists";
	case MOUNTED:
		snprintf(out, size, "Mounted from %s", m->from);
		return out;
	case COMPLETE:
		return "Pushed";
	case RETRYING:
		snprintf(out, size, "Retrying%s%s", *m->message ? ": " : "", m->message);
		return out;
	case SKIPPED:
		return "Skipped foreign layer";
	default:
		return NULL;
	}
}

/* Bytes are for terminals; each image that is pushed begins with its layers. */
static int layer_event(struct push_view *v, const Imaged__V1__PushProgress *m, struct err *err)
{
	struct push_layer_line *line = find_layer(v, m->digest);
	struct progress_count count = { m->current, m->total };
	bool pushing = (int)m->state == PUSHING;
	char text[512];
	const char *status = status_text(m, text, sizeof text);

	if (!line || !status)
		return OK;
	if (pushing ? !v->progress.terminal : (int)m->state == line->state && (int)m->state != RETRYING)
		return OK;
	line->state = (int)m->state;
	return progress_status(&v->progress, line->shown, status, pushing && m->current > 0 ? &count : NULL, err);
}

static void done_event(struct push_view *v)
{
	char text[REFERENCE_TEXT_MAX];

	if (v->quiet)
		progress_line(&v->progress, "%s", reference_text(v->ref, text));
}

int push_view_event(struct push_view *v, const Imaged__V1__PushEvent *event, struct err *err)
{
	push_view_start(v);
	switch (event->event_case) {
	case IMAGED__V1__PUSH_EVENT__EVENT_STARTED:
		return v->quiet ? OK : started_event(v, event->started, err);
	case IMAGED__V1__PUSH_EVENT__EVENT_LAYER:
		return v->quiet ? OK : layer_event(v, event->layer, err);
	case IMAGED__V1__PUSH_EVENT__EVENT_TAG:
		if (!v->quiet)
			progress_line(&v->progress, "%s: digest: %s size: %lld", event->tag->tag, event->tag->digest,
				      (long long)event->tag->size);
		return OK;
	case IMAGED__V1__PUSH_EVENT__EVENT_DONE:
		done_event(v);
		return OK;
	default:
		return OK;
	}
}
