#include "service/rpc/identity.h"

#include <grpc/support/alloc.h>
#include <stdio.h>

#include "service/rpc/grants.h"
#include "service/rpc/internal.h"

#define FD_PREFIX "fd:"

enum { NAMES_MAX = 64 };

static int of_unix_socket(struct rpc_call *c, const char *grpc_peer, struct err *err)
{
	struct connection_peer peer;
	char *end;
	long number = strtol(grpc_peer + strlen(FD_PREFIX), &end, 10);

	if (*end || number < 0 || number > INT32_MAX ||
	    !unix_listener_peer(c->server->unix_listener, (int)number, &peer))
		return fail(err, E_INTERNAL, "the peer of connection '%s' is not known", grpc_peer);
	atomic_store(&c->connection, (int)number); /* a drain may look at it */
	c->identity = (struct identity){ .kind = IDENTITY_UNIX,
					 .uid = peer.cred.uid,
					 .gid = peer.cred.gid,
					 .pid = peer.cred.pid,
					 .common_name = "",
					 .spiffe_id = "" };
	c->role = peer.role;
	snprintf(c->peer, sizeof c->peer, "unix:uid=%u,gid=%u,pid=%d", peer.cred.uid, peer.cred.gid, peer.cred.pid);
	snprintf(c->client_key, sizeof c->client_key, "uid=%u", peer.cred.uid);
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

static const struct {
	const char *property;
	enum alt_name_kind kind;
} alt_properties[] = {
	{ GRPC_PEER_DNS_PROPERTY_NAME, ALT_NAME_DNS },
	{ GRPC_PEER_URI_PROPERTY_NAME, ALT_NAME_URI },
	{ GRPC_PEER_EMAIL_PROPERTY_NAME, ALT_NAME_EMAIL },
	{ GRPC_PEER_IP_PROPERTY_NAME, ALT_NAME_IP },
};

static int take_alt_names(struct rpc_call *c, const grpc_auth_context *auth, struct err *err)
{
	const char **names = arena_array(&c->arena, NAMES_MAX, sizeof *names);
	enum alt_name_kind *kinds = arena_array(&c->arena, NAMES_MAX, sizeof *kinds);
	const grpc_auth_property *p;
	size_t n = 0;

	if (!names || !kinds)
		return fail_nomem(err);
	for (size_t i = 0; i < ARRAY_LEN(alt_properties); i++) {
		grpc_auth_property_iterator it = grpc_auth_context_find_properties_by_name(auth,
											   alt_properties[i].property);

		while ((p = grpc_auth_property_iterator_next(&it))) {
			if (n == NAMES_MAX || !(names[n] = name_of(&c->arena, p)))
				return fail(err, E_UNAUTHENTICATED,
					    "the subject alternative names of the client certificate cannot be read");
			kinds[n++] = alt_properties[i].kind;
		}
	}
	c->identity.alt_names = names;
	c->identity.alt_kinds = kinds;
	c->identity.n_alt_names = n;
	return OK;
}

/* A property that comes once: "" when it is not there. */
static int take_name(struct rpc_call *c, const grpc_auth_context *auth, const char *property, const char **ret_name,
		     struct err *err)
{
	grpc_auth_property_iterator it = grpc_auth_context_find_properties_by_name(auth, property);
	const grpc_auth_property *p = grpc_auth_property_iterator_next(&it);

	*ret_name = "";
	if (p && !(*ret_name = name_of(&c->arena, p)))
		return fail(err, E_UNAUTHENTICATED, "the property %s of the client certificate cannot be read",
			    property);
	return OK;
}

static int of_certificate(struct rpc_call *c, const grpc_auth_context *auth, struct err *err)
{
	size_t used = strlen(c->peer);
	const char *subject;

	c->identity.kind = IDENTITY_CERTIFICATE;
	if (take_name(c, auth, GRPC_X509_CN_PROPERTY_NAME, &c->identity.common_name, err) < 0 ||
	    take_name(c, auth, GRPC_PEER_SPIFFE_ID_PROPERTY_NAME, &c->identity.spiffe_id, err) < 0 ||
	    take_name(c, auth, GRPC_X509_SUBJECT_PROPERTY_NAME, &subject, err) < 0 || take_alt_names(c, auth, err) < 0)
		return err->code;
	snprintf(c->peer + used, sizeof c->peer - used, *c->identity.spiffe_id ? ",spiffe=%s" : ",cn=%s",
		 *c->identity.spiffe_id ? c->identity.spiffe_id : c->identity.common_name);
	snprintf(c->client_key, sizeof c->client_key, "%s", *c->identity.spiffe_id ? c->identity.spiffe_id : subject);
	return OK;
}

/* The address without its port, which is another one for each connection. */
static void of_address(struct rpc_call *c, const char *grpc_peer)
{
	const char *port = strrchr(grpc_peer, ':');

	snprintf(c->peer, sizeof c->peer, "%s", grpc_peer);
	snprintf(c->client_key, sizeof c->client_key, "%.*s", port ? (int)(port - grpc_peer) : 0, grpc_peer);
}

static int of_tcp(struct rpc_call *c, const char *grpc_peer, struct err *err)
{
	grpc_auth_context *auth = grpc_call_auth_context(c->grpc);
	int r = OK;

	c->identity = (struct identity){ .kind = IDENTITY_NONE, .common_name = "", .spiffe_id = "" };
	of_address(c, grpc_peer);
	if (auth && grpc_auth_context_peer_is_authenticated(auth))
		r = of_certificate(c, auth, err);
	grpc_auth_context_release(auth);
	if (r == OK && c->server->options.grants)
		c->role = grants_role_of_tcp(c->server->options.grants, &c->identity);
	return r;
}

int identity_of_call(struct rpc_call *c, struct err *err)
{
	char *peer = grpc_call_get_peer(c->grpc);
	int r;

	c->role = RPC_ROLE_ADMIN; /* where the server has no rules */
	if (!strncmp(peer, FD_PREFIX, strlen(FD_PREFIX)))
		r = of_unix_socket(c, peer, err);
	else
		r = of_tcp(c, peer, err);
	gpr_free(peer);
	return r;
}

/* What an operator would grant to let this caller in. */
static void suggest_who(const struct identity *who, char *out, size_t size)
{
	if (who->kind == IDENTITY_UNIX)
		snprintf(out, size, "uid=%u", who->uid);
	else if (who->kind == IDENTITY_NONE)
		snprintf(out, size, "anonymous");
	else if (*who->spiffe_id)
		snprintf(out, size, "spiffe=%s", who->spiffe_id);
	else
		snprintf(out, size, *who->common_name ? "cn=%s" : "certificate", who->common_name);
}

int identity_check_role(const struct rpc_call *c, struct err *err)
{
	enum rpc_role needed = c->entry->method->role;
	char who[PEER_MAX];

	if (c->role >= needed)
		return OK;
	suggest_who(&c->identity, who, sizeof who);
	return fail(err, E_ROLE,
		    "%s has the role %s here, and %s needs %s: the grant \"%s:%s\" in imaged's configuration would "
		    "allow it",
		    c->peer, grants_role_name(c->role), c->entry->method->path + 1, grants_role_name(needed),
		    grants_role_name(needed), who);
}
