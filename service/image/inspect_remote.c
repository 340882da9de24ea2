/* InspectRemote. */
#include <stdio.h>

#include "service/image/convert.h"
#include "service/image/image_service.h"
#include "service/registry/warning.h"
#include "store/types/image_config.h"

enum {
	ANSWER_MAX = 4 * 1024 * 1024 - 64 * 1024, /* of all documents; a message has at most 4 MiB */
	ENTRIES_MAX = 256,			  /* of an index that are fetched for one call */
};

struct inspection {
	const Imaged__V1__InspectRemoteRequest *request;
	struct repository *repository;
	struct cancel *cancel;
	struct reference ref;
	struct arena *arena;
	size_t bytes;
};

/* A manifest or an index, and what it is. */
struct document {
	struct remote_manifest remote;
	enum media_kind kind;
};

static void document_free(struct document *d)
{
	remote_manifest_free(&d->remote);
}

static int fetch(struct inspection *i, const struct reference *ref, struct document *ret_document, struct err *err)
{
	CLEANUP(document_free) struct document d = { 0 };
	int r = registry_manifest(i->repository, ref, i->cancel, &d.remote, err);

	if (r == OK)
		r = document_kind(buf_bytes(&d.remote.body), d.remote.media_type, &d.kind, err);
	if (r != OK)
		return r;
	snprintf(d.remote.media_type, sizeof d.remote.media_type, "%s", media_kind_name(d.kind));
	*ret_document = TAKE(d);
	return OK;
}

static int fetch_entry(struct inspection *i, const struct descriptor *entry, struct document *ret_document,
		       struct err *err)
{
	struct reference ref = i->ref;

	ref.digest = entry->digest;
	return fetch(i, &ref, ret_document, err);
}

/* From an index to the manifest of the platform. */
static int choose(struct inspection *i, struct document *d, struct err *err)
{
	struct platform platform;

	if (!*i->request->platform)
		return OK;
	if (platform_parse(i->request->platform, &platform, err) != OK)
		return err->code;
	for (int depth = 0; media_is_index(d->kind); depth++) {
		CLEANUP(index_free) struct index index = { 0 };
		const struct descriptor *entry;
		int r = depth < INDEX_DEPTH_MAX
				? index_parse(buf_bytes(&d->remote.body), &index, err)
				: fail(err, E_BAD_CONTENT, "indexes are nested more than %d deep", INDEX_DEPTH_MAX);

		if (r == OK)
			r = index_choose(&index, &platform, &entry, err);
		if (r == OK) {
			document_free(d);
			r = fetch_entry(i, entry, d, err);
		}
		if (r != OK)
			return r;
	}
	return OK;
}

/* ---- messages ---------------------------------------------------------------- */

static int take_bytes(struct inspection *i, const struct buf *from, ProtobufCBinaryData *ret_bytes, struct err *err)
{
	i->bytes += from->len;
	if (i->bytes > ANSWER_MAX)
		return fail(err, E_LIMIT, "the manifests are longer than fits into one answer");
	ret_bytes->data = (uint8_t *)arena_bytes(i->arena, buf_bytes(from));
	ret_bytes->len = from->len;
	return ret_bytes->data ? OK : fail_nomem(err);
}

static Imaged__V1__Platform *platform_message(struct arena *a, const struct platform *p)
{
	Imaged__V1__Platform *m = arena_alloc(a, sizeof *m);

	if (!m)
		return NULL;
	imaged__v1__platform__init(m);
	m->os = arena_string(a, p->os);
	m->architecture = arena_string(a, p->architecture);
	m->variant = arena_string(a, p->variant);
	m->os_version = arena_string(a, p->os_version);
	return m->os && m->architecture && m->variant && m->os_version ? m : NULL;
}

static Imaged__V1__Descriptor *descriptor_of(struct inspection *i, const struct document *d,
					     const struct platform *platform)
{
	Imaged__V1__Descriptor *m = descriptor_message(i->arena, d->remote.media_type, &d->remote.digest,
						       d->remote.size);

	if (m && platform) {
		m->platform = platform_message(i->arena, platform);
		if (!m->platform)
			return NULL;
	}
	return m;
}

/* ---- verbose ----------------------------------------------------------------- */

/* Where there is one; its platform when it is an image's. */
static int take_config(struct inspection *i, const struct document *d, Imaged__V1__RemoteManifest *m,
		       struct platform *ret_platform, bool *ret_has_platform, struct err *err)
{
	CLEANUP(manifest_free) struct manifest manifest = { 0 };
	CLEANUP(image_config_free) struct image_config config = { 0 };
	CLEANUP(buf_free) struct buf body = { 0 };
	int r;

	*ret_has_platform = false;
	if (media_is_index(d->kind))
		return OK;
	r = manifest_parse(buf_bytes(&d->remote.body), &manifest, err);
	if (r != OK || !manifest.is_image)
		return r;
	r = registry_document(i->repository, &manifest.config, i->cancel, &body, err);
	if (r == OK)
		r = image_config_parse(buf_bytes(&body), &config, err);
	if (r != OK)
		return r;
	*ret_platform = config.platform;
	*ret_has_platform = true;
	return take_bytes(i, &body, &m->config, err);
}

/* `entry`: of the index that lists it; NULL: it is what the reference leads to. */
static int entry_message(struct inspection *i, const struct document *d, const struct descriptor *entry,
			 Imaged__V1__RemoteManifest **ret_message, struct err *err)
{
	Imaged__V1__RemoteManifest *m = arena_alloc(i->arena, sizeof *m);
	struct reference ref = i->ref;
	char name[REFERENCE_TEXT_MAX];
	struct platform platform;
	bool has_platform;
	int r;

	if (!m)
		return fail_nomem(err);
	imaged__v1__remote_manifest__init(m);
	r = take_config(i, d, m, &platform, &has_platform, err);
	if (r == OK)
		r = take_bytes(i, &d->remote.body, &m->manifest, err);
	if (r != OK)
		return r;
	if (entry && entry->has_platform)
		platform = entry->platform;
	has_platform |= entry && entry->has_platform;
	ref.digest = entry ? entry->digest : d->remote.digest;
	m->reference = arena_string(i->arena, reference_text(&ref, name));
	m->descriptor = descriptor_of(i, d, has_platform ? &platform : NULL);
	*ret_message = m;
	return m->reference && m->descriptor ? OK : fail_nomem(err);
}

static int index_entries(struct inspection *i, const struct document *d, Imaged__V1__InspectRemoteResponse *response,
			 struct err *err)
{
	CLEANUP(index_free) struct index index = { 0 };
	int r = index_parse(buf_bytes(&d->remote.body), &index, err);

	if (r == OK && index.n_entries > ENTRIES_MAX)
		r = fail(err, E_LIMIT, "the index lists %zu manifests: at most %d are fetched in one call",
			 index.n_entries, ENTRIES_MAX);
	if (r != OK)
		return r;
	response->manifests = arena_array(i->arena, index.n_entries + 1, sizeof *response->manifests);
	if (!response->manifests)
		return fail_nomem(err);
	for (size_t e = 0; e < index.n_entries && r == OK; e++) {
		CLEANUP(document_free) struct document entry = { 0 };

		r = fetch_entry(i, &index.entries[e], &entry, err);
		if (r == OK)
			r = entry_message(i, &entry, &index.entries[e], &response->manifests[e], err);
		response->n_manifests = e + (r == OK);
	}
	return r;
}

static int add_verbose(struct inspection *i, const struct document *d, Imaged__V1__InspectRemoteResponse *response,
		       struct err *err)
{
	if (media_is_index(d->kind))
		return index_entries(i, d, response, err);
	response->manifests = arena_array(i->arena, 1, sizeof *response->manifests);
	if (!response->manifests || entry_message(i, d, NULL, &response->manifests[0], err) != OK)
		return response->manifests ? err->code : fail_nomem(err);
	response->n_manifests = 1;
	return OK;
}

/* ---- the call ---------------------------------------------------------------- */

static int inspect(struct inspection *i, Imaged__V1__InspectRemoteResponse *response, struct err *err)
{
	CLEANUP(document_free) struct document d = { 0 };
	char name[REFERENCE_TEXT_MAX];
	int r = fetch(i, &i->ref, &d, err);

	if (r == OK)
		r = choose(i, &d, err);
	if (r == OK)
		r = take_bytes(i, &d.remote.body, &response->manifest, err);
	if (r != OK)
		return r;
	response->reference = arena_string(i->arena, reference_text(&i->ref, name));
	response->descriptor = descriptor_of(i, &d, NULL);
	if (!response->reference || !response->descriptor)
		return fail_nomem(err);
	return i->request->verbose ? add_verbose(i, &d, response, err) : OK;
}

static int add_warning(struct inspection *i, Imaged__V1__InspectRemoteResponse *response, struct err *err)
{
	char text[WARNINGS_MAX];

	response->warning = arena_string(i->arena, repository_warnings(i->repository, text, sizeof text));
	return response->warning ? OK : fail_nomem(err);
}

static int add_limit(struct inspection *i, Imaged__V1__InspectRemoteResponse *response, struct err *err)
{
	struct rate_message *limit = arena_alloc(i->arena, sizeof *limit);

	if (!limit)
		return fail_nomem(err);
	response->rate_limit = rate_message_of(i->repository, limit);
	return OK;
}

static int open_and_inspect(struct image_service *service, struct inspection *i,
			    Imaged__V1__InspectRemoteResponse *response, struct err *err)
{
	struct credentials credentials = credentials_of(i->request->credentials);
	int r = reference_parse(i->request->reference, &i->ref, err);

	if (r != OK)
		return r;
	reference_default_tag(&i->ref);
	r = i->request->insecure
		    ? repository_open_insecure(service->registry, &i->ref, &credentials, &i->repository, err)
		    : repository_open(service->registry, &i->ref, &credentials, &i->repository, err);
	if (r == OK)
		r = inspect(i, response, err);
	if (r == OK)
		r = add_warning(i, response, err);
	if (r == OK)
		r = add_limit(i, response, err);
	repository_unref(i->repository);
	return r;
}

int inspect_remote(void *self, struct rpc_call *call, const Imaged__V1__InspectRemoteRequest *request,
		   Imaged__V1__InspectRemoteResponse *response, struct err *err)
{
	struct image_service *service = self;
	struct inspection i = { .request = request, .cancel = rpc_call_cancel(call) };
	int r = answer_arena(call, &i.arena, err);

	if (r == OK)
		r = admission_enter(&service->questions, QUESTIONS_MAX, "questions to registries run", err);
	if (r == OK) {
		r = open_and_inspect(service, &i, response, err);
		admission_leave(&service->questions);
	}
	credentials_wipe(request->credentials);
	return r;
}
