/* Images of a build to registries. */
#include "service/build/result/exporting.h"
#include "service/build/result/pushing.h"
#include "service/image/convert.h"
#include "service/image/push.h"

static int tell(void *vertex, const Imaged__V1__PushEvent *event, struct err *err)
{
	char status[sizeof "pushing " + DIGEST_TEXT_MAX];
	const Imaged__V1__PushProgress *p = event->layer;
	bool done;

	(void)err;
	if (event->event_case != IMAGED__V1__PUSH_EVENT__EVENT_LAYER ||
	    p->state == IMAGED__V1__PUSH_PROGRESS__STATE__STATE_WAITING)
		return OK;
	done = p->state == IMAGED__V1__PUSH_PROGRESS__STATE__STATE_COMPLETE ||
	       p->state == IMAGED__V1__PUSH_PROGRESS__STATE__STATE_EXISTS ||
	       p->state == IMAGED__V1__PUSH_PROGRESS__STATE__STATE_MOUNTED ||
	       p->state == IMAGED__V1__PUSH_PROGRESS__STATE__STATE_SKIPPED;
	snprintf(status, sizeof status, "pushing %.*s", DIGEST_TEXT_MAX - 1, p->digest);
	vertex_status(vertex, status, done ? p->total : p->current, p->total, done);
	return OK;
}

int push_made(const struct made *m, const struct reference *ref, struct vertex *vertex, struct err *err)
{
	const struct result_request *r = m->r;
	const struct made_document *root = made_root(m);
	struct push_content c = {
		.ref = ref,
		.root = root->digest,
		.chosen = made_chosen(m)->manifest.digest,
		.credentials = credentials_of(
			credentials_among(r->start->credentials, r->start->n_credentials, ref->domain)),
		.cancel = r->cancel,
		.event = tell,
		.arg = vertex,
	};
	char name[REFERENCE_TEXT_MAX], digest[DIGEST_TEXT_MAX];
	char status[sizeof "pushing manifest for @" + REFERENCE_TEXT_MAX + DIGEST_TEXT_MAX];

	vertex_status(vertex, "pushing layers", 0, 0, false);
	if (push_content(r->service, &c, err) < 0)
		return err_wrap(err, "failed to push %s", reference_text(ref, name));
	vertex_status(vertex, "pushing layers", 0, 0, true);
	snprintf(status, sizeof status, "pushing manifest for %s@%s", reference_text(ref, name),
		 digest_text(&root->digest, digest));
	vertex_status(vertex, status, 0, 0, true);
	return OK;
}

/* What was compressed for it stays for a day, so that the next push of the same layers finds it. */
int keep_made(struct made *m, struct err *err)
{
	if (!m->leased)
		return OK;
	if (made_remember_layers(m, err) < 0 || lease_abandon(m->r->service->store, &m->lease, err) < 0)
		return err->code;
	m->leased = false;
	return OK;
}

int export_to_registry(struct exporting *x, struct err *err)
{
	if (!x->n_names)
		return fail(err, E_INVALID, "tag is needed when pushing to registry");
	if (exporting_make(x, true, err) < 0)
		return err->code;
	for (size_t i = 0; i < x->n_names; i++)
		if (push_made(&x->made, &x->names[i], x->vertex, err) < 0)
			return err->code;
	return keep_made(&x->made, err);
}
