#include "service/image/convert.h"

#include "proto/runtime/codec.h"
#include "service/registry/host_config.h"
#include "store/image/parent.h"

static void arena_destroy(void *p)
{
	arena_free(p);
	free(p);
}

int answer_arena(struct rpc_call *call, struct arena **ret_arena, struct err *err)
{
	struct arena *a = malloc(sizeof *a);

	if (!a)
		return fail_nomem(err);
	arena_init(a, ANSWER_BYTES_MAX);
	if (rpc_call_defer(call, arena_destroy, a, err) < 0)
		return err->code;
	*ret_arena = a;
	return OK;
}

char *digest_message(struct arena *a, const struct digest *d)
{
	char text[DIGEST_TEXT_MAX];

	return arena_string(a, digest_text(d, text));
}

int digest_of_record(const ProtobufCBinaryData *field, struct digest *ret_digest, struct err *err)
{
	if (!digest_from_key((struct bytes){ field->data, field->len }, ret_digest))
		return fail(err, E_CORRUPT, "the metadata holds a digest of %zu bytes; run 'imagectl system check'",
			    field->len);
	return OK;
}

Google__Protobuf__Timestamp *time_message(struct arena *a, int64_t seconds, int32_t nanos)
{
	Google__Protobuf__Timestamp *t = arena_alloc(a, sizeof *t);

	if (!t)
		return NULL;
	google__protobuf__timestamp__init(t);
	t->seconds = seconds;
	t->nanos = nanos;
	return t;
}

Google__Protobuf__Timestamp *timestamp_message(struct arena *a, const struct timestamp *t)
{
	return t->present ? time_message(a, t->seconds, t->nanos) : NULL;
}

Imaged__V1__Descriptor *descriptor_message(struct arena *a, const char *media_type, const struct digest *d,
					   int64_t size)
{
	Imaged__V1__Descriptor *m = arena_alloc(a, sizeof *m);

	if (!m)
		return NULL;
	imaged__v1__descriptor__init(m);
	m->media_type = arena_string(a, media_type);
	m->digest = digest_message(a, d);
	m->size = size;
	return m->media_type && m->digest ? m : NULL;
}

/* ---- summaries ------------------------------------------------------------ */

static Google__Protobuf__Timestamp *nanoseconds_message(struct arena *a, int64_t ns)
{
	enum { NS_PER_S = 1000000000 };
	int64_t seconds = ns / NS_PER_S, nanos = ns % NS_PER_S;

	if (nanos < 0) {
		nanos += NS_PER_S;
		seconds--;
	}
	return time_message(a, seconds, (int32_t)nanos);
}

static bool has_digest(const char *name)
{
	return strchr(name, '@') != NULL;
}

/* Splits names into those with a tag and those with a digest; both stay sorted. */
static int names_message(struct arena *a, char *const *names, size_t n, Imaged__V1__ImageSummary *m, struct err *err)
{
	m->repo_tags = arena_array(a, n + 1, sizeof *m->repo_tags);
	m->repo_digests = arena_array(a, n + 1, sizeof *m->repo_digests);
	if (!m->repo_tags || !m->repo_digests)
		return fail_nomem(err);
	for (size_t i = 0; i < n; i++) {
		if (has_digest(names[i]))
			m->repo_digests[m->n_repo_digests++] = names[i];
		else
			m->repo_tags[m->n_repo_tags++] = names[i];
	}
	return OK;
}

static int platform_message(struct arena *a, const Imaged__Store__V1__PlatformEntry *p, Imaged__V1__ImageSummary *m,
			    struct err *err)
{
	if (!p)
		return OK;
	m->platform = arena_alloc(a, sizeof *m->platform);
	if (!m->platform)
		return fail_nomem(err);
	imaged__v1__platform__init(m->platform);
	m->platform->os = p->os;
	m->platform->architecture = p->architecture;
	m->platform->variant = p->variant;
	m->platform->os_version = p->os_version;
	return OK;
}

static int labels_message(struct arena *a, const Imaged__Store__V1__ImageRecord *r, Imaged__V1__ImageSummary *m,
			  struct err *err)
{
	m->labels = arena_array(a, r->n_labels + 1, sizeof *m->labels);
	if (!m->labels)
		return fail_nomem(err);
	for (size_t i = 0; i < r->n_labels; i++) {
		Imaged__V1__ImageSummary__LabelsEntry *entry = arena_alloc(a, sizeof *entry);

		if (!entry)
			return fail_nomem(err);
		imaged__v1__image_summary__labels_entry__init(entry);
		entry->key = r->labels[i]->key;
		entry->value = r->labels[i]->value;
		m->labels[m->n_labels++] = entry;
	}
	return OK;
}

static int64_t content_size(const Imaged__Store__V1__ImageRecord *r)
{
	int64_t total = add_sizes(r->manifest_size, r->config_size);

	for (size_t i = 0; i < r->n_layers; i++)
		total = add_sizes(total, r->layers[i]->size);
	return total;
}

int summary_message(struct store *s, struct arena *a, const struct image *image, char *const *names, size_t n_names,
		    Imaged__V1__ImageSummary *ret_summary, struct err *err)
{
	const Imaged__Store__V1__ImageRecord *r = image->record;
	int64_t used_ns = image_last_used_ns(s, &image->manifest);
	Imaged__V1__ImageSummary *m = ret_summary;
	struct digest config;

	imaged__v1__image_summary__init(m);
	if (digest_of_record(&r->config, &config, err) < 0 || names_message(a, names, n_names, m, err) < 0 ||
	    platform_message(a, r->platform, m, err) < 0 || labels_message(a, r, m, err) < 0)
		return err->code;
	m->id = digest_message(a, &config);
	m->manifest_digests = arena_array(a, image->n_manifests + 1, sizeof *m->manifest_digests);
	if (!m->id || !m->manifest_digests)
		return fail_nomem(err);
	for (size_t i = 0; i < image->n_manifests; i++) {
		m->manifest_digests[i] = digest_message(a, &image->manifests[i]);
		if (!m->manifest_digests[i])
			return fail_nomem(err);
	}
	m->n_manifest_digests = image->n_manifests;
	m->pinned_by = arena_string(a, image->pinned_by ? image->pinned_by : "");
	if (!m->pinned_by)
		return fail_nomem(err);
	m->size = r->size;
	m->content_size = content_size(r);
	m->created = r->has_created ? time_message(a, r->created_seconds, r->created_nanos) : NULL;
	m->last_used = used_ns ? nanoseconds_message(a, used_ns) : NULL;
	if ((r->has_created && !m->created) || (used_ns && !m->last_used))
		return fail_nomem(err);
	return OK;
}

int layer_record_message(struct arena *a, const Imaged__Store__V1__LayerEntry *entry, Imaged__V1__Layer *m,
			 struct err *err)
{
	struct digest blob, diff, chain;

	if (digest_of_record(&entry->digest, &blob, err) < 0 || digest_of_record(&entry->diff_id, &diff, err) < 0 ||
	    digest_of_record(&entry->chain_id, &chain, err) < 0)
		return err->code;
	imaged__v1__layer__init(m);
	m->blob = descriptor_message(a, entry->media_type, &blob, entry->size);
	m->diff_id = digest_message(a, &diff);
	m->chain_id = digest_message(a, &chain);
	m->size = entry->files_size;
	return m->blob && m->diff_id && m->chain_id ? OK : fail_nomem(err);
}

Imaged__V1__ImageSummary *summary_copy(struct arena *a, const Imaged__V1__ImageSummary *summary)
{
	size_t len = imaged__v1__image_summary__get_packed_size(summary);
	CLEANUP(freep) uint8_t *wire = malloc(len + 1);

	if (!wire)
		return NULL;
	imaged__v1__image_summary__pack(summary, wire);
	return imaged__v1__image_summary__unpack(&a->allocator, len, wire);
}

/* ---- content -------------------------------------------------------------- */

void image_content_free(struct image_content *c)
{
	buf_free(&c->manifest_body);
	buf_free(&c->config_body);
	manifest_free(&c->manifest);
	image_config_free(&c->config);
}

/* Of an image that is listed nothing may be missing: it is no wrong name. */
static int read_part(struct store *s, const struct image *image, const struct digest *d, struct buf *out,
		     struct err *err)
{
	char text[DIGEST_TEXT_MAX], part[DIGEST_TEXT_MAX];
	int r = content_read(s, d, out, err);

	if (r != E_NOT_FOUND || !image_is_listed(s, &image->manifest))
		return r;
	return fail(err, E_CORRUPT, "image %s lacks its content %s; run 'imagectl system check'",
		    digest_text(&image->manifest, text), digest_text(d, part));
}

int image_content_read(struct store *s, const struct image *image, struct image_content *ret_content, struct err *err)
{
	CLEANUP(image_content_free)
	struct image_content c = {
		.manifest_body = BUF_INIT(MANIFEST_BYTES_MAX),
		.config_body = BUF_INIT(CONFIG_BYTES_MAX),
	};

	if (read_part(s, image, &image->manifest, &c.manifest_body, err) < 0 ||
	    manifest_parse(buf_bytes(&c.manifest_body), &c.manifest, err) < 0 ||
	    read_part(s, image, &c.manifest.config.digest, &c.config_body, err) < 0 ||
	    image_config_parse(buf_bytes(&c.config_body), &c.config, err) < 0 ||
	    image_config_check_layers(&c.config, c.manifest.n_layers, err) < 0)
		return err->code;
	*ret_content = TAKE(c);
	return OK;
}

/* ---- container configuration ---------------------------------------------- */

static int list_message(struct arena *a, const struct string_list *list, Imaged__V1__StringList **ret_list,
			struct err *err)
{
	Imaged__V1__StringList *m;

	if (!list->present)
		return OK;
	m = arena_alloc(a, sizeof *m);
	if (!m)
		return fail_nomem(err);
	imaged__v1__string_list__init(m);
	m->values = list->items;
	m->n_values = list->n;
	*ret_list = m;
	return OK;
}

static int label_map_message(struct arena *a, const struct string_map *map, Imaged__V1__LabelMap **ret_map,
			     struct err *err)
{
	Imaged__V1__LabelMap *m;

	if (!map->present)
		return OK;
	m = arena_alloc(a, sizeof *m);
	if (!m)
		return fail_nomem(err);
	imaged__v1__label_map__init(m);
	m->values = arena_array(a, map->n + 1, sizeof *m->values);
	if (!m->values)
		return fail_nomem(err);
	for (size_t i = 0; i < map->n; i++) {
		Imaged__V1__LabelMap__ValuesEntry *entry = arena_alloc(a, sizeof *entry);

		if (!entry)
			return fail_nomem(err);
		imaged__v1__label_map__values_entry__init(entry);
		entry->key = map->pairs[i].key;
		entry->value = map->pairs[i].value;
		m->values[m->n_values++] = entry;
	}
	*ret_map = m;
	return OK;
}

static int healthcheck_message(struct arena *a, const struct healthcheck *h, Imaged__V1__HealthCheck **ret_check,
			       struct err *err)
{
	Imaged__V1__HealthCheck *m;

	if (!h->present)
		return OK;
	m = arena_alloc(a, sizeof *m);
	if (!m)
		return fail_nomem(err);
	imaged__v1__health_check__init(m);
	m->test = h->test.items;
	m->n_test = h->test.n;
	m->interval = h->interval;
	m->timeout = h->timeout;
	m->start_period = h->start_period;
	m->start_interval = h->start_interval;
	m->retries = (int32_t)h->retries;
	*ret_check = m;
	return OK;
}

static void plain_fields(const struct container_config *c, Imaged__V1__ContainerConfig *m)
{
	m->hostname = c->hostname;
	m->domainname = c->domainname;
	m->user = c->user;
	m->image = c->image;
	m->working_dir = c->working_dir;
	m->mac_address = c->mac_address;
	m->stop_signal = c->stop_signal;
	m->attach_stdin = c->attach_stdin;
	m->attach_stdout = c->attach_stdout;
	m->attach_stderr = c->attach_stderr;
	m->tty = c->tty;
	m->open_stdin = c->open_stdin;
	m->stdin_once = c->stdin_once;
	m->args_escaped = c->args_escaped;
	m->network_disabled = c->network_disabled;
	m->exposed_ports = c->exposed_ports.items;
	m->n_exposed_ports = c->exposed_ports.n;
	if (c->has_stop_timeout) {
		m->stop_timeout_set_case = IMAGED__V1__CONTAINER_CONFIG__STOP_TIMEOUT_SET_STOP_TIMEOUT;
		m->stop_timeout = c->stop_timeout;
	}
}

int config_message(struct arena *a, const struct container_config *c, Imaged__V1__ContainerConfig **ret_config,
		   struct err *err)
{
	Imaged__V1__ContainerConfig *m;

	if (!c->present)
		return OK;
	m = arena_alloc(a, sizeof *m);
	if (!m)
		return fail_nomem(err);
	imaged__v1__container_config__init(m);
	plain_fields(c, m);
	if (list_message(a, &c->env, &m->env, err) < 0 || list_message(a, &c->cmd, &m->cmd, err) < 0 ||
	    list_message(a, &c->volumes, &m->volumes, err) < 0 ||
	    list_message(a, &c->entrypoint, &m->entrypoint, err) < 0 ||
	    list_message(a, &c->on_build, &m->on_build, err) < 0 || list_message(a, &c->shell, &m->shell, err) < 0 ||
	    label_map_message(a, &c->labels, &m->labels, err) < 0 ||
	    healthcheck_message(a, &c->healthcheck, &m->healthcheck, err) < 0)
		return err->code;
	*ret_config = m;
	return OK;
}

/* ---- history -------------------------------------------------------------- */

static Imaged__V1__HistoryEntry *history_message(struct arena *a, const struct history *h, int64_t size)
{
	Imaged__V1__HistoryEntry *m = arena_alloc(a, sizeof *m);

	if (!m)
		return NULL;
	imaged__v1__history_entry__init(m);
	m->created = timestamp_message(a, &h->created);
	m->created_by = h->created_by;
	m->author = h->author;
	m->comment = h->comment;
	m->empty_layer = h->empty_layer;
	m->size = size;
	return m->created || !h->created.present ? m : NULL;
}

/* The image, and what it was made from step by step, as far as those are here. */
static int name_images(struct store *s, struct arena *a, const struct image *image, Imaged__V1__HistoryEntry **entries,
		       size_t n, struct err *err)
{
	struct digest id;
	bool is_here = true;
	int r = digest_of_record(&image->record->config, &id, err);

	for (size_t i = 0; r == OK && i < n && is_here; i++) {
		entries[i]->id = digest_message(a, &id);
		if (!entries[i]->id)
			return fail_nomem(err);
		r = image_parent(s, &id, &is_here, &id, err);
	}
	return r;
}

int history_messages(struct store *s, struct arena *a, const struct image *image, const struct image_config *config,
		     size_t *ret_n, Imaged__V1__HistoryEntry ***ret_entries, struct err *err)
{
	const Imaged__Store__V1__ImageRecord *r = image->record;
	size_t n = config->n_history, layer = 0;
	Imaged__V1__HistoryEntry **entries = arena_array(a, n + 1, sizeof *entries);

	if (!entries)
		return fail_nomem(err);
	for (size_t i = 0; i < n; i++) {
		const struct history *h = &config->history[i];
		int64_t size = 0;

		if (!h->empty_layer) {
			if (layer >= r->n_layers)
				return fail(err, E_BAD_CONTENT, "too many non-empty layers in History section");
			size = r->layers[layer++]->files_size;
		}
		entries[n - 1 - i] = history_message(a, h, size);
		if (!entries[n - 1 - i])
			return fail_nomem(err);
	}
	if (name_images(s, a, image, entries, n, err) < 0)
		return err->code;
	*ret_entries = entries;
	*ret_n = n;
	return OK;
}

void utf8_clean(char *text)
{
	if (utf8_valid(bytes_of(text)))
		return;
	for (char *p = text; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
}

const Imaged__V1__Credentials *credentials_among(Imaged__V1__Credentials *const *all, size_t n, const char *registry)
{
	char wanted[HOST_AUTHORITY_MAX], named[HOST_AUTHORITY_MAX];

	if (!host_authority(registry, wanted))
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (*all[i]->server_address && host_authority(all[i]->server_address, named) && !strcmp(named, wanted))
			return all[i];
	return NULL;
}

void credentials_wipe(const Imaged__V1__Credentials *m)
{
	if (!m)
		return;
	wipe(m->password, strlen(m->password));
	wipe(m->identity_token, strlen(m->identity_token));
	wipe(m->registry_token, strlen(m->registry_token));
}

Imaged__V1__RateLimit *rate_message_of(struct repository *r, struct rate_message *out)
{
	registry_heard(r, &out->rate);
	out->message = (Imaged__V1__RateLimit)IMAGED__V1__RATE_LIMIT__INIT;
	out->message.limit = out->rate.limit;
	out->message.remaining = out->rate.remaining;
	out->message.window_seconds = out->rate.window_s;
	out->message.source = out->rate.source;
	return out->rate.known ? &out->message : NULL;
}

struct credentials credentials_of(const Imaged__V1__Credentials *m)
{
	if (!m)
		return (struct credentials){ .username = NULL };
	return (struct credentials){
		.server_address = m->server_address,
		.username = m->username,
		.password = m->password,
		.identity_token = m->identity_token,
		.registry_token = m->registry_token,
		.or_anonymous = m->or_anonymous,
	};
}
