/* InspectImage. */
#include "service/image/convert.h"
#include "service/image/image_service.h"
#include "service/layer/erofs/writer.h"
#include "store/image/chain.h"
#include "store/image/parent.h"
#include "store/layers/layer_image.h"

static void content_destroy(void *p)
{
	image_content_free(p);
	free(p);
}

/* ---- layers --------------------------------------------------------------- */

struct layers {
	struct store *store;
	struct arena *arena; /* of the answer */
	struct digest *chains;
	int64_t *counts;
};

static int add_image_file(const struct layers *l, const struct digest *diff_id, Imaged__V1__Layer *m, struct err *err)
{
	char file[LAYER_IMAGE_FILE_MAX];
	struct layer_image_facts facts;
	int r = layer_image_get(l->store, diff_id, EROFS_WRITER_VERSION, file, &facts, err);

	if (r != OK)
		return r == E_NOT_FOUND ? OK : r;
	m->image_size = facts.image_size;
	m->image_file = arena_string(l->arena, file);
	return m->image_file ? OK : fail_nomem(err);
}

static int add_layer(const struct layers *l, const Imaged__Store__V1__LayerEntry *entry, struct digest *ret_chain,
		     Imaged__V1__Layer *m, struct err *err)
{
	struct digest diff;

	if (digest_of_record(&entry->diff_id, &diff, err) < 0 ||
	    digest_of_record(&entry->chain_id, ret_chain, err) < 0 || layer_record_message(l->arena, entry, m, err) < 0)
		return err->code;
	return add_image_file(l, &diff, m, err);
}

static int layer_messages(struct store *s, struct arena *a, const Imaged__Store__V1__ImageRecord *r,
			  Imaged__V1__InspectImageResponse *m, struct err *err)
{
	struct layers l = {
		.store = s,
		.arena = a,
		.chains = arena_array(a, r->n_layers + 1, sizeof *l.chains),
		.counts = arena_array(a, r->n_layers + 1, sizeof *l.counts),
	};

	m->layers = arena_array(a, r->n_layers + 1, sizeof *m->layers);
	if (!l.chains || !l.counts || !m->layers)
		return fail_nomem(err);
	for (size_t i = 0; i < r->n_layers; i++) {
		Imaged__V1__Layer *layer = arena_alloc(a, sizeof *layer);

		if (!layer)
			return fail_nomem(err);
		if (add_layer(&l, r->layers[i], &l.chains[i], layer, err) < 0)
			return err->code;
		m->layers[m->n_layers++] = layer;
	}
	if (chain_image_counts(s, l.chains, m->n_layers, l.counts, err) < 0)
		return err->code;
	for (size_t i = 0; i < m->n_layers; i++)
		m->layers[i]->images = l.counts[i];
	return OK;
}

/* ---- the image ------------------------------------------------------------ */

/* The latest TagImage among the names. */
static int last_tag_time(struct store *s, struct arena *a, const struct image *image,
			 Imaged__V1__InspectImageResponse *m, struct err *err)
{
	enum { NS_PER_S = 1000000000 };
	int64_t latest = 0;

	for (size_t i = 0; i < image->n_names; i++) {
		Imaged__Store__V1__NameRecord *name = NULL;
		int r = name_get(s, image->names[i], a, &name, err);

		if (r < 0 && r != E_NOT_FOUND)
			return r;
		if (r == OK && name->tagged_ns > latest)
			latest = name->tagged_ns;
	}
	if (!latest)
		return OK;
	m->last_tag_time = time_message(a, latest / NS_PER_S, (int32_t)(latest % NS_PER_S));
	return m->last_tag_time ? OK : fail_nomem(err);
}

static int parent_of(struct store *s, struct arena *a, const struct image *image, Imaged__V1__InspectImageResponse *m,
		     struct err *err)
{
	struct digest config, parent;
	bool is_here;

	if (digest_of_record(&image->record->config, &config, err) < 0 ||
	    image_parent(s, &config, &is_here, &parent, err) < 0)
		return err->code;
	if (is_here)
		m->parent = digest_message(a, &parent);
	return m->parent ? OK : fail_nomem(err);
}

static int describe(struct image_service *service, struct arena *a, const struct image *image, struct image_content *c,
		    Imaged__V1__InspectImageResponse *m, struct err *err)
{
	m->image = arena_alloc(a, sizeof *m->image);
	m->manifest = descriptor_message(a, image->record->media_type, &image->manifest, image->record->manifest_size);
	if (!m->image || !m->manifest)
		return fail_nomem(err);
	if (summary_message(service->store, a, image, image->names, image->n_names, m->image, err) < 0 ||
	    layer_messages(service->store, a, image->record, m, err) < 0 ||
	    history_messages(service->store, a, image, &c->config, &m->n_history, &m->history, err) < 0 ||
	    config_message(a, &c->config.config, &m->config, err) < 0 ||
	    config_message(a, &c->config.container_config, &m->container_config, err) < 0)
		return err->code;
	m->author = c->config.author;
	m->comment = c->config.comment;
	if (!*m->comment && m->n_history) /* docker-cli.md 4 */
		m->comment = m->history[0]->comment;
	m->docker_version = c->config.docker_version;
	m->container = c->config.container;
	if (parent_of(service->store, a, image, m, err) < 0)
		return err->code;
	return last_tag_time(service->store, a, image, m, err);
}

int inspect_image(void *self, struct rpc_call *call, const Imaged__V1__InspectImageRequest *request,
		  Imaged__V1__InspectImageResponse *response, struct err *err)
{
	struct image_service *service = self;
	struct image_content *c;
	struct arena *a = NULL;
	struct image image;
	bool by_id;

	if (answer_arena(call, &a, err) < 0 ||
	    image_resolve(service->store, request->image, a, &image, &by_id, err) < 0)
		return err->code;
	c = calloc(1, sizeof *c);
	if (!c)
		return fail_nomem(err);
	if (rpc_call_defer(call, content_destroy, c, err) < 0 ||
	    image_content_read(service->store, &image, c, err) < 0 ||
	    describe(service, a, &image, c, response, err) < 0)
		return err->code;
	if (request->include_raw) {
		response->raw_manifest = (ProtobufCBinaryData){ c->manifest_body.len, c->manifest_body.data };
		response->raw_config = (ProtobufCBinaryData){ c->config_body.len, c->config_body.data };
	}
	return OK;
}

int get_history(void *self, struct rpc_call *call, const Imaged__V1__GetHistoryRequest *request,
		Imaged__V1__GetHistoryResponse *response, struct err *err)
{
	Imaged__V1__InspectImageRequest inspect = IMAGED__V1__INSPECT_IMAGE_REQUEST__INIT;
	Imaged__V1__InspectImageResponse answer = IMAGED__V1__INSPECT_IMAGE_RESPONSE__INIT;

	inspect.image = request->image;
	if (inspect_image(self, call, &inspect, &answer, err) < 0)
		return err->code;
	response->entries = answer.history;
	response->n_entries = answer.n_history;
	return OK;
}
