/* CheckAuth. */
#include "service/image/convert.h"
#include "service/image/image_service.h"

int check_auth(void *self, struct rpc_call *call, const Imaged__V1__CheckAuthRequest *request,
	       Imaged__V1__CheckAuthResponse *response, struct err *err)
{
	struct image_service *service = self;
	struct credentials credentials = credentials_of(request->credentials);
	struct arena *a = NULL;
	char *token = NULL;

	if (answer_arena(call, &a, err) < 0 ||
	    registry_check_auth(service->registry, request->server_address, &credentials, &token, rpc_call_cancel(call),
				err) < 0)
		return err->code;
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
