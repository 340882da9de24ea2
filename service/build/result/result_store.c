/* An image of a build in the store, by its names. */
#include "proto/runtime/clock.h"
#include "service/build/result/exporting.h"
#include "store/image/events.h"

static int take_facts(const struct made_image *i, struct layer_facts **ret_facts, struct err *err)
{
	struct layer_facts *facts = calloc(i->n_layers + 1, sizeof *facts);

	if (!facts)
		return fail_nomem(err);
	for (size_t k = 0; k < i->n_layers; k++)
		facts[k] = i->layers[k].facts;
	*ret_facts = facts;
	return OK;
}

/* The chosen one comes last, with the names, and takes over the lease. */
static int publish(struct exporting *x, const struct made_image *i, bool chosen, struct err *err)
{
	const struct made_document *root = made_root(&x->made);
	CLEANUP(manifest_free) struct manifest manifest = { .n_layers = 0 };
	CLEANUP(freep) struct layer_facts *facts = NULL;
	struct publication p = {
		.names = x->names,
		.n_names = chosen ? x->n_names : 0,
		.root = root->digest,
		.root_media_type = root->media_type,
		.manifest_digest = i->manifest.digest,
		.manifest_size = (int64_t)i->manifest.body.len,
		.manifest_media_type = i->manifest.media_type,
		.manifest = &manifest,
		.config = &i->image,
		.lease = chosen ? &x->made.lease : NULL,
		.synthesized = true,
		.action = chosen ? EVENT_BUILD : 0,
		.now_ns = clock_wall_ns(),
	};
	bool changed;

	if (take_facts(i, &facts, err) < 0 || manifest_parse(buf_bytes(&i->manifest.body), &manifest, err) < 0)
		return err->code;
	p.layers = facts;
	if (x->made.has_index)
		p.root_bytes = buf_bytes(&root->body);
	if (image_publish(x->r->service->store, &p, &changed, err) < 0)
		return err->code;
	x->made.leased = x->made.leased && !chosen;
	return OK;
}

static void tell_names(struct exporting *x)
{
	const struct made_image *chosen = made_chosen(&x->made);
	char text[REFERENCE_TEXT_MAX], digest[DIGEST_TEXT_MAX], status[sizeof "naming to " + REFERENCE_TEXT_MAX];

	snprintf(status, sizeof status, "writing image %s", digest_text(&chosen->config.digest, digest));
	vertex_status(x->vertex, status, 0, 0, true);
	for (size_t i = 0; i < x->n_names; i++) {
		snprintf(status, sizeof status, "naming to %s", reference_text(&x->names[i], text));
		vertex_status(x->vertex, status, 0, 0, true);
	}
}

int export_to_store(struct exporting *x, struct err *err)
{
	const struct made_image *chosen;

	if (exporting_make(x, false, err) < 0 || cancel_check(x->r->cancel, err) < 0)
		return err->code;
	if (x->output->no_store)
		return OK;
	chosen = made_chosen(&x->made);
	for (size_t i = 0; i < x->made.n; i++)
		if (&x->made.images[i] != chosen && publish(x, &x->made.images[i], false, err) < 0)
			return err->code;
	if (publish(x, chosen, true, err) < 0)
		return err->code;
	tell_names(x);
	return OK;
}
