/* CheckAuth. */
#include "service/image/convert.h"
#include "service/image/image_service.h"

static int ask(struct image_service *service, struct rpc_call *call, const Imaged__V1__CheckAuthRequest *request,
	       char **ret_token, struct err *err)
{
	struct credentials credentials = credentials_of(request->credentials);
	int r = admission_enter(&service->logins, LOGINS_MAX, "logins are being checked", err);

	if (r < 0)
		return r;
	r = registry_check_auth(service->registry, request->server_address, &credentials, ret_token,
				rpc_call_cancel(call), err);
	admission_leave(&service->logins);
	return r;
}

int check_auth(void *self, struct rpc_call *call, const Imaged__V1__CheckAuthRequest *request,
	       Imaged__V1__CheckAuthResponse *response, struct err *err)
{
	struct arena *a = NULL;
	char *token = NULL;
	int r = answer_arena(call, &a, err);

	if (r == OK)
		r = ask(self, call, request, &token, err);
	credentials_wipe(request->credentials);
	if (r < 0)
		return r;
	response->server_address = request->server_address;
	if (token) {
		response->identity_token = arena_string(a, token);
		wipe(token, strlen(token));
		free(token);
		if (!response->identity_token)
			return fail_nomem(err);
	}
	return OK;
}
