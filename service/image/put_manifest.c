/* PutManifest. */
#include "service/image/convert.h"
#include "service/image/image_service.h"
#include "service/registry/upload.h"

/* What is sent, and where to. */
struct sending {
	struct reference ref;
	struct bytes body;
	struct digest digest; /* of the body */
	const char *media_type;
};

static int read_request(const Imaged__V1__PutManifestRequest *request, struct sending *s, struct err *err)
{
	enum media_kind kind;
	char said[DIGEST_TEXT_MAX], got[DIGEST_TEXT_MAX];

	if (reference_parse(request->reference, &s->ref, err) < 0)
		return err->code;
	reference_default_tag(&s->ref);
	s->body = (struct bytes){ request->manifest.data, request->manifest.len };
	if (s->body.len > MANIFEST_BYTES_MAX)
		return fail(err, E_LIMIT, "a manifest has at most %d bytes", MANIFEST_BYTES_MAX);
	if (document_kind(s->body, NULL, &kind, err) < 0)
		return err->code;
	s->media_type = media_kind_name(kind);
	digest_of(digest_is_set(&s->ref.digest) ? s->ref.digest.algorithm : DIGEST_SHA256, s->body, &s->digest);
	if (digest_is_set(&s->ref.digest) && !digest_eq(&s->ref.digest, &s->digest))
		return fail(err, E_DIGEST_MISMATCH, "expected a manifest of digest %s, got %s",
			    digest_text(&s->ref.digest, said), digest_text(&s->digest, got));
	return OK;
}

static int put(struct repository *repository, const struct sending *s, struct cancel *cancel, struct err *err)
{
	const char *tag = s->ref.tag;
	struct manifest_upload m = {
		.body = s->body,
		.media_type = s->media_type,
		.digest = &s->digest,
		.tags = &tag,
		.n_tags = *tag != 0,
	};

	return registry_put_manifest(repository, &m, cancel, err);
}

static int send_it(struct image_service *service, struct rpc_call *call, const Imaged__V1__PutManifestRequest *request,
		   const struct sending *s, struct err *err)
{
	CLEANUP(repository_unrefp) struct repository *repository = NULL;
	struct credentials credentials = credentials_of(request->credentials);
	int r = request->insecure
			? repository_open_push_insecure(service->registry, &s->ref, NULL, &credentials, &repository,
							err)
			: repository_open_push(service->registry, &s->ref, NULL, &credentials, &repository, err);

	return r == OK ? put(repository, s, rpc_call_cancel(call), err) : r;
}

static int answer(const struct sending *s, struct arena *a, Imaged__V1__PutManifestResponse *response, struct err *err)
{
	char name[REFERENCE_TEXT_MAX];

	response->reference = arena_string(a, reference_text(&s->ref, name));
	response->descriptor = descriptor_message(a, s->media_type, &s->digest, (int64_t)s->body.len);
	return response->reference && response->descriptor ? OK : fail_nomem(err);
}

int put_manifest(void *self, struct rpc_call *call, const Imaged__V1__PutManifestRequest *request,
		 Imaged__V1__PutManifestResponse *response, struct err *err)
{
	struct image_service *service = self;
	struct sending s = { .media_type = "" };
	struct arena *a = NULL;
	int r = answer_arena(call, &a, err);

	if (r == OK)
		r = read_request(request, &s, err);
	if (r == OK)
		r = admission_enter(&service->questions, QUESTIONS_MAX, "questions to registries run", err);
	if (r == OK) {
		r = send_it(service, call, request, &s, err);
		admission_leave(&service->questions);
	}
	credentials_wipe(request->credentials);
	return r == OK ? answer(&s, a, response, err) : r;
}
