/* Images of a build as archives for the client: OCI layouts, and what docker loads. */
#include "service/build/result/exporting.h"
#include "store/archive/save.h"
#include "store/record.h"

int output_send(struct output_stream *s, const void *data, size_t len, bool end, struct err *err)
{
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;
	Imaged__V1__OutputData m = IMAGED__V1__OUTPUT_DATA__INIT;

	m.output = s->output;
	m.data.data = (uint8_t *)data;
	m.data.len = len;
	m.end = end;
	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_OUTPUT_DATA;
	event.output_data = &m;
	s->sent += (int64_t)len;
	if (s->what)
		vertex_status(s->vertex, s->what, s->silent ? 0 : s->sent, 0, end && !s->goes_on);
	return s->peer->send(s->peer->arg, &event, err);
}

/* ---- what is in it --------------------------------------------------------------- */

/* A record, as one of the store would be: no more of it than an archive needs. */
static int fill_record(const struct made *m, const struct made_image *i, struct arena *a, struct saved_image *to,
		       struct err *err)
{
	Imaged__Store__V1__ImageRecord *record = arena_alloc(a, sizeof *record);

	if (!record)
		return fail_nomem(err);
	imaged__store__v1__image_record__init(record);
	record->manifest_size = (int64_t)i->manifest.body.len;
	record->config_size = (int64_t)i->config.body.len;
	record->layers = arena_array(a, i->n_layers + 1, sizeof(void *));
	if (!record->layers)
		return fail_nomem(err);
	for (size_t k = 0; k < i->n_layers; k++) {
		Imaged__Store__V1__LayerEntry *entry = arena_alloc(a, sizeof *entry);

		if (!entry)
			return fail_nomem(err);
		imaged__store__v1__layer_entry__init(entry);
		entry->size = i->layers[k].size;
		entry->media_type = (char *)made_layer_type(m, &i->layers[k]);
		if (!digest_to_data(&i->layers[k].digest, a, &entry->digest) ||
		    !digest_to_data(&i->layers[k].facts.diff_id, a, &entry->diff_id))
			return fail_nomem(err);
		record->layers[record->n_layers++] = entry;
	}
	to->manifest = i->manifest.digest;
	to->config = i->config.digest;
	to->record = record;
	return OK;
}

static int fill_names(const struct exporting *x, struct arena *a, struct saved_image *to, struct err *err)
{
	char text[REFERENCE_TEXT_MAX];

	to->names = arena_array(a, x->n_names + 1, sizeof *to->names);
	to->tags = arena_array(a, x->n_names + 1, sizeof *to->tags);
	if (!to->names || !to->tags)
		return fail_nomem(err);
	for (; to->n_names < x->n_names; to->n_names++) {
		to->names[to->n_names] = arena_string(a, reference_text(&x->names[to->n_names], text));
		to->tags[to->n_names] = arena_string(a, reference_familiar(&x->names[to->n_names], text));
		if (!to->names[to->n_names] || !to->tags[to->n_names])
			return fail_nomem(err);
	}
	return OK;
}

static int fill_annotations(const struct exporting *x, struct arena *a, struct string_map **ret_map, struct err *err)
{
	const struct annotations *from = &x->made.annotations;
	struct string_map *map = arena_alloc(a, sizeof *map);

	if (!map || !(map->pairs = arena_array(a, from->n + 2, sizeof *map->pairs)))
		return fail_nomem(err);
	if (x->r->has_epoch) {
		struct timestamp epoch = { .present = true, .seconds = x->r->epoch };
		char text[40], *created = arena_string(a, timestamp_text(&epoch, text));

		if (!created)
			return fail_nomem(err);
		map->pairs[map->n++] = (struct string_pair){ (char *)"org.opencontainers.image.created", created };
	}
	for (size_t i = 0; i < from->n; i++)
		if (annotation_is_for(&from->all[i], ANNOTATE_INDEX_DESCRIPTOR, NULL))
			map->pairs[map->n++] = (struct string_pair){ (char *)from->all[i].key,
								     (char *)from->all[i].value };
	*ret_map = map->n ? map : NULL;
	return OK;
}

/* A line of index.json for each name. */
static int fill_entries(const struct exporting *x, struct selection *s, struct err *err)
{
	const struct made_document *root = made_root(&x->made);
	size_t n = x->n_names ? x->n_names : 1;
	struct string_map *annotations = NULL;

	s->entries = calloc(n, sizeof *s->entries);
	if (!s->entries || fill_annotations(x, &s->arena, &annotations, err) < 0)
		return fail_nomem(err);
	for (; s->n_entries < n; s->n_entries++)
		s->entries[s->n_entries] = (struct saved_entry){
			.name = x->n_names ? s->images[0].names[s->n_entries] : NULL,
			.root = root->digest,
			.root_media_type = root->media_type,
			.root_size = (int64_t)root->body.len,
			.annotations = annotations,
		};
	return OK;
}

static int select_made(const struct exporting *x, struct selection *s, struct err *err)
{
	arena_init(&s->arena, SELECTION_BYTES_MAX);
	s->images = calloc(x->made.n, sizeof *s->images);
	if (!s->images)
		return fail_nomem(err);
	for (; s->n_images < x->made.n; s->n_images++)
		if (fill_record(&x->made, &x->made.images[s->n_images], &s->arena, &s->images[s->n_images], err) < 0)
			return err->code;
	if (fill_names(x, &s->arena, &s->images[0], err) < 0)
		return err->code;
	return fill_entries(x, s, err);
}

/* ---- sending it ------------------------------------------------------------------ */

static int send_archive(struct exporting *x, struct save *archive, struct err *err)
{
	CLEANUP(freep) uint8_t *piece = malloc(OUTPUT_PIECE_BYTES);
	struct output_stream s = {
		.peer = &x->r->peer, .output = x->number, .vertex = x->vertex, .what = "sending tarball", .silent = true
	};
	size_t len = 0;

	if (!piece)
		return fail_nomem(err);
	do {
		if (cancel_check(x->r->cancel, err) < 0 ||
		    save_read(archive, piece, OUTPUT_PIECE_BYTES, &len, err) < 0 ||
		    output_send(&s, piece, len, !len, err) < 0)
			return err->code;
	} while (len);
	return OK;
}

static void tell_documents(struct exporting *x)
{
	char digest[DIGEST_TEXT_MAX], status[sizeof "exporting manifest list " + DIGEST_TEXT_MAX];

	for (size_t i = 0; i < x->made.n; i++) {
		snprintf(status, sizeof status, "exporting manifest %s",
			 digest_text(&x->made.images[i].manifest.digest, digest));
		vertex_status(x->vertex, status, 0, 0, true);
		snprintf(status, sizeof status, "exporting config %s",
			 digest_text(&x->made.images[i].config.digest, digest));
		vertex_status(x->vertex, status, 0, 0, true);
	}
	if (!x->made.has_index)
		return;
	snprintf(status, sizeof status, "exporting manifest list %s", digest_text(&x->made.index.digest, digest));
	vertex_status(x->vertex, status, 0, 0, true);
}

int export_archive(struct exporting *x, struct err *err)
{
	bool docker = x->output->kind == IMAGED__V1__BUILD_OUTPUT__KIND__KIND_DOCKER;
	CLEANUP(selection_free) struct selection s = { .n_images = 0 };
	CLEANUP(save_closep) struct save *archive = NULL;

	if (docker && x->r->n_built > 1)
		return fail(err, E_INVALID, "docker exporter does not currently support exporting manifest lists");
	if (exporting_make(x, false, err) < 0)
		return err->code;
	tell_documents(x);
	if (select_made(x, &s, err) < 0 ||
	    save_open(x->r->service->store, &s, docker ? SAVE_OCI_AND_DOCKER : SAVE_OCI, NULL, &archive, err) < 0)
		return err->code;
	return send_archive(x, archive, err);
}
