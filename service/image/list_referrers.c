/* ListReferrers. */
#include "service/registry/referrers.h"

#include "service/image/convert.h"
#include "service/image/image_service.h"

static int annotation_messages(struct arena *a, const struct referrer *r, Imaged__V1__Descriptor *m, struct err *err)
{
	m->annotations = arena_array(a, r->n_annotations + 1, sizeof *m->annotations);
	if (!m->annotations)
		return fail_nomem(err);
	for (size_t i = 0; i < r->n_annotations; i++) {
		Imaged__V1__Descriptor__AnnotationsEntry *entry = arena_alloc(a, sizeof *entry);

		if (!entry)
			return fail_nomem(err);
		imaged__v1__descriptor__annotations_entry__init(entry);
		entry->key = arena_string(a, r->annotations[i].key);
		entry->value = arena_string(a, r->annotations[i].value);
		if (!entry->key || !entry->value)
			return fail_nomem(err);
		m->annotations[m->n_annotations++] = entry;
	}
	return OK;
}

static int referrer_message(struct arena *a, const struct referrer *r, Imaged__V1__Referrer **ret_message,
			    struct err *err)
{
	const struct descriptor *d = &r->descriptor;
	Imaged__V1__Referrer *m = arena_alloc(a, sizeof *m);

	if (!m)
		return fail_nomem(err);
	imaged__v1__referrer__init(m);
	m->descriptor = descriptor_message(a, d->media_type, &d->digest, d->size);
	m->artifact_type = arena_string(a, r->artifact_type);
	if (!m->descriptor || !m->artifact_type)
		return fail_nomem(err);
	*ret_message = m;
	return annotation_messages(a, r, m->descriptor, err);
}

static int messages(struct arena *a, const struct referrers *list, Imaged__V1__ListReferrersResponse *m,
		    struct err *err)
{
	m->referrers = arena_array(a, list->n + 1, sizeof *m->referrers);
	if (!m->referrers)
		return fail_nomem(err);
	for (size_t i = 0; i < list->n; i++) {
		if (referrer_message(a, &list->items[i], &m->referrers[i], err) < 0)
			return err->code;
		m->n_referrers++;
	}
	return OK;
}

/* The digest of what the reference names. */
static int find_subject(struct repository *repository, struct reference *ref, struct cancel *cancel,
			struct digest *ret_subject, struct err *err)
{
	struct remote_manifest remote = { .size = 0 };

	if (!digest_is_set(&ref->digest)) {
		if (registry_resolve(repository, ref, cancel, &remote, err) < 0)
			return err->code;
		ref->digest = remote.digest;
		remote_manifest_free(&remote);
	}
	*ret_subject = ref->digest;
	return OK;
}

static int list(struct image_service *service, struct rpc_call *call, const Imaged__V1__ListReferrersRequest *request,
		Imaged__V1__ListReferrersResponse *response, struct err *err)
{
	struct credentials credentials = credentials_of(request->credentials);
	CLEANUP(repository_unrefp) struct repository *repository = NULL;
	CLEANUP(referrers_free) struct referrers found = { .items = NULL };
	struct cancel *cancel = rpc_call_cancel(call);
	enum referrers_source source;
	struct reference ref;
	struct digest subject;
	struct arena *a = NULL;

	if (answer_arena(call, &a, err) < 0 || reference_parse(request->reference, &ref, err) < 0)
		return err->code;
	reference_default_tag(&ref);
	if (repository_open(service->registry, &ref, &credentials, &repository, err) < 0 ||
	    find_subject(repository, &ref, cancel, &subject, err) < 0 ||
	    registry_referrers(repository, &subject, request->artifact_type, cancel, &found, &source, err) < 0)
		return err->code;
	response->subject = digest_message(a, &subject);
	response->source = source == REFERRERS_API ? IMAGED__V1__LIST_REFERRERS_RESPONSE__SOURCE__SOURCE_API
						   : IMAGED__V1__LIST_REFERRERS_RESPONSE__SOURCE__SOURCE_TAG;
	return response->subject ? messages(a, &found, response, err) : fail_nomem(err);
}

int list_referrers(void *self, struct rpc_call *call, const Imaged__V1__ListReferrersRequest *request,
		   Imaged__V1__ListReferrersResponse *response, struct err *err)
{
	struct image_service *service = self;
	int r = admission_enter(&service->questions, QUESTIONS_MAX, "questions to registries run", err);

	if (r == OK) {
		r = list(service, call, request, response, err);
		admission_leave(&service->questions);
	}
	credentials_wipe(request->credentials);
	return r;
}
