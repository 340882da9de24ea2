/* PullImage. */
#include "service/cri/auth.h"
#include "service/cri/find.h"
#include "service/cri/handlers.h"
#include "service/image/convert.h"
#include "service/image/pull.h"

/* Which of an index is wanted: a key of ImageSpec.annotations. */
static const char platform_key[] = "imaged.platform";

struct pulled {
	struct arena *arena;
	char *id; /* of the image, once it is here */
};

/* Nobody watches: WatchTransfers shows it to whoever asks. */
static int note(void *arg, const Imaged__V1__PullEvent *event, struct err *err)
{
	struct pulled *p = arg;

	if (event->event_case != IMAGED__V1__PULL_EVENT__EVENT_DONE)
		return OK;
	p->id = arena_string(p->arena, event->done->image_id);
	return p->id ? OK : fail_nomem(err);
}

/* "" for this machine's. */
static int handler_platform(const struct cri_service *service, const char *name, const char **ret_platform,
			    struct err *err)
{
	*ret_platform = "";
	if (!*name)
		return OK;
	for (size_t i = 0; i < service->n_handlers; i++) {
		const char *entry = service->handlers[i];
		size_t len = strcspn(entry, "=");

		if (strlen(name) == len && !memcmp(entry, name, len)) {
			*ret_platform = entry[len] ? entry + len + 1 : "";
			return OK;
		}
	}
	return fail(err, E_INVALID, "unknown runtime handler \"%.64s\": imaged knows those of --cri-runtime-handler",
		    name);
}

/* What the image's annotations say counts before what its handler is for. */
static int choose_platform(const struct cri_service *service, const Runtime__V1__ImageSpec *spec,
			   const char **ret_platform, struct err *err)
{
	if (handler_platform(service, spec->runtime_handler, ret_platform, err) < 0)
		return err->code;
	for (size_t i = 0; i < spec->n_annotations; i++)
		if (!strcmp(spec->annotations[i]->key, platform_key))
			*ret_platform = spec->annotations[i]->value;
	return OK;
}

/* Kubelet tells its users the reason from these words (registry-cri.md 2.1). */
static int worded(int r, struct err *err)
{
	return r == E_REGISTRY || r == E_TLS ? err_wrap(err, "RegistryUnavailable") : r;
}

static int run(struct cri_service *service, struct rpc_call *call, const Runtime__V1__PullImageRequest *request,
	       struct pulled *p, struct err *err)
{
	const struct pull_peer peer = { .send = note,
					.arg = p,
					.origin = IMAGED__V1__TRANSFER__ORIGIN__ORIGIN_CRI,
					.cancel = rpc_call_cancel(call),
					.call = call };
	Imaged__V1__PullRequest pull = IMAGED__V1__PULL_REQUEST__INIT;
	const char *platform;

	if (choose_platform(service, request->image, &platform, err) < 0 ||
	    cri_credentials(request->auth, p->arena, &pull.credentials, err) < 0)
		return err->code;
	pull.reference = (char *)cri_image_name(request->image);
	pull.platform = (char *)platform;
	return worded(pull_for(service->images, &peer, &pull, err), err);
}

int cri_pull_image(void *self, struct rpc_call *call, const Runtime__V1__PullImageRequest *request,
		   Runtime__V1__PullImageResponse *response, struct err *err)
{
	struct pulled p = { .id = NULL };
	int r = cri_require_name(request->image, err);

	if (r == OK)
		r = answer_arena(call, &p.arena, err);
	if (r == OK)
		r = run(self, call, request, &p, err);
	cri_auth_wipe(request->auth);
	if (r == OK)
		response->image_ref = p.id;
	return r;
}
