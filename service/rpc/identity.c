#include "service/rpc/identity.h"

#include <grpc/support/alloc.h>
#include <stdio.h>

#include "service/rpc/internal.h"

#define FD_PREFIX "fd:"

enum { NAMES_MAX = 64 };

static int of_unix_socket(struct rpc_call *c, const char *grpc_peer, struct err *err)
{
	struct ucred cred;
	char *end;
	long number = strtol(grpc_peer + strlen(FD_PREFIX), &end, 10);

	if (*end || number < 0 || number > INT32_MAX ||
	    !unix_listener_peer(c->server->unix_listener, (int)number, &cred))
		return fail(err, E_INTERNAL, "the peer of connection '%s' is not known", grpc_peer);
	c->connection = (int)number;
	c->identity = (struct identity){ .kind = IDENTITY_UNIX, .uid = cred.uid, .gid = cred.gid, .pid = cred.pid };
	c->identity.common_name = "";
	snprintf(c->peer, sizeof c->peer, "unix:uid=%u,gid=%u,pid=%d", cred.uid, cred.gid, cred.pid);
	return OK;
}

/* A copy of a certificate's name; NULL when it holds a NUL, which would make it
 * read as another name, or when memory is short. */
static const char *name_of(struct arena *arena, const grpc_auth_property *p)
{
	if (memchr(p->value, 0, p->value_length))
		return NULL;
	return arena_bytes(arena, (struct bytes){ (const uint8_t *)p->value, p->value_length });
}

static int take_names(struct rpc_call *c, const grpc_auth_context *auth, struct err *err)
{
	grpc_auth_property_iterator it = grpc_auth_context_find_properties_by_name(auth, GRPC_X509_SAN_PROPERTY_NAME);
	const char **names = arena_array(&c->arena, NAMES_MAX, sizeof *names);
	const grpc_auth_property *p;
	size_t n = 0;

	if (!names)
		return fail_nomem(err);
	while ((p = grpc_auth_property_iterator_next(&it))) {
		if (n == NAMES_MAX || !(names[n++] = name_of(&c->arena, p)))
			return fail(err, E_UNAUTHENTICATED,
				    "the subject alternative names of the client certificate cannot be read");
	}
	c->identity.alt_names = names;
	c->identity.n_alt_names = n;
	return OK;
}

static int of_certificate(struct rpc_call *c, const grpc_auth_context *auth, struct err *err)
{
	grpc_auth_property_iterator it = grpc_auth_context_find_properties_by_name(auth, GRPC_X509_CN_PROPERTY_NAME);
	const grpc_auth_property *p = grpc_auth_property_iterator_next(&it);
	size_t used = strlen(c->peer);

	c->identity.kind = IDENTITY_CERTIFICATE;
	if (p && !(c->identity.common_name = name_of(&c->arena, p)))
		return fail(err, E_UNAUTHENTICATED, "the common name of the client certificate cannot be read");
	snprintf(c->peer + used, sizeof c->peer - used, ",cn=%s", c->identity.common_name);
	return take_names(c, auth, err);
}

static int of_tcp(struct rpc_call *c, const char *grpc_peer, struct err *err)
{
	grpc_auth_context *auth = grpc_call_auth_context(c->grpc);
	int r = OK;

	c->identity = (struct identity){ .kind = IDENTITY_NONE, .common_name = "" };
	snprintf(c->peer, sizeof c->peer, "%s", grpc_peer);
	if (auth && grpc_auth_context_peer_is_authenticated(auth))
		r = of_certificate(c, auth, err);
	grpc_auth_context_release(auth);
	return r;
}

int identity_of_call(struct rpc_call *c, struct err *err)
{
	char *peer = grpc_call_get_peer(c->grpc);
	int r;

	if (!strncmp(peer, FD_PREFIX, strlen(FD_PREFIX)))
		r = of_unix_socket(c, peer, err);
	else
		r = of_tcp(c, peer, err);
	gpr_free(peer);
	return r;
}
