/*
 * Credentials as CRI sends them, as ours.
 */
#ifndef SERVICE_CRI_AUTH_H
#define SERVICE_CRI_AUTH_H

#include "cri/v1/image.pb-c.h"
#include "imaged/v1/common.pb-c.h"
#include "proto/runtime/arena.h"

/* Of the five forms the first that is there: user name and password, identity token, registry
 * token, `auth` (base64 of USER:PASSWORD); *ret_credentials is NULL when there is none. Where
 * server_address names another registry than the image's they are not used. In the arena, or
 * borrowed; E_INVALID for an `auth` that is none. */
int cri_credentials(const Runtime__V1__AuthConfig *auth, struct arena *a, Imaged__V1__Credentials **ret_credentials,
		    struct err *err);

/* When the call is done with it; what gRPC holds cannot be reached. */
void cri_auth_wipe(const Runtime__V1__AuthConfig *auth);

#endif
