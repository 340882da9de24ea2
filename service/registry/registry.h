/*
 * The registry client (OCI distribution-spec 1.1; registry-cri.md 1); what is sent to
 * a registry is in upload.h.
 *
 * A `struct registry` is the daemon's: HTTP client, token cache, policy on hosts.
 * A `struct repository` is one repository with the credentials of one call. What
 * goes over the wire: HEAD/GET of manifests with an explicit Accept, GET of blobs
 * with Range, Basic and Bearer authentication on a challenge, redirects followed
 * by our own rules (redirect.h: credentials never leave scheme+host+port, https
 * never becomes http), retries from one table (retry.c).
 *
 * Who is asked (host_plan.h): mirrors first, where hosts.toml or a flag names some, then
 * the registry itself. Which scheme (scheme.h): https, unless somebody said http, or
 * the host is loopback with a port or listed as insecure; those try https first and
 * fall back to http when nobody answers there or the peer does not speak TLS.
 *
 * Threads: registry from any thread; a repository too (transfers share it).
 */
#ifndef SERVICE_REGISTRY_REGISTRY_H
#define SERVICE_REGISTRY_REGISTRY_H

#include "service/registry/http.h"
#include "service/registry/rate_limit.h"
#include "service/registry/retry.h"
#include "store/content/ingest.h"
#include "store/types/manifest.h"
#include "store/types/reference.h"

struct registry;
struct repository;
struct host;

struct registry_options {
	const char *const *insecure; /* HOST[:PORT] or CIDR */
	size_t n_insecure;
	const char *hosts_dir;	    /* hosts_dir.h; read whenever a repository is opened; NULL: none */
	const char *const *mirrors; /* URL, for Docker Hub, or HOST=URL */
	size_t n_mirrors;
	const char *ca_file;	  /* extra trust, PEM; NULL: the system's only */
	bool allow_foreign_urls;  /* of layers that no registry need have (foreign.h) */
	const char *search_index; /* URL of Docker Hub's index; NULL: https://index.docker.io */
	const char *hub_url;	  /* of Docker Hub's API; NULL: https://hub.docker.com */
	struct http_options http;
	const struct retry_env *env; /* clock, chance and sleep of tests; NULL: the real ones */
};

int registry_new(const struct registry_options *options, struct registry **ret_registry, struct err *err);
void registry_free(struct registry *r);
void registry_freep(struct registry **r);

/* Credentials of a call. Strings are copied; wiped when the last user is gone. */
struct credentials {
	const char *server_address, *username, *password, *identity_token, *registry_token; /* NULL or "" */
	bool or_anonymous; /* try without them when a token server refuses them */
};

/* domain and path of the reference. `credentials` may be NULL. E_BAD_CONTENT when what
 * hosts-dir says about the registry cannot be used. */
int repository_open(struct registry *r, const struct reference *ref, const struct credentials *credentials,
		    struct repository **ret_repository, struct err *err);
/* The same for those who write to it. `from` is the path of a repository of the same
 * registry that blobs are mounted from, whose token says so; NULL: none. */
int repository_open_push(struct registry *r, const struct reference *ref, const char *from,
			 const struct credentials *credentials, struct repository **ret_repository, struct err *err);
/* For one call whose user says so: http when nobody answers on https, and certificates
 * are not verified, as if the host were on the insecure list. */
int repository_open_insecure(struct registry *r, const struct reference *ref, const struct credentials *credentials,
			     struct repository **ret_repository, struct err *err);
int repository_open_push_insecure(struct registry *r, const struct reference *ref, const char *from,
				  const struct credentials *credentials, struct repository **ret_repository,
				  struct err *err);
struct repository *repository_ref(struct repository *r);
void repository_unref(struct repository *r);
void repository_unrefp(struct repository **r);
/* Finds out how the registry is asked, so that a failure of that comes first. */
int repository_contact(struct repository *r, struct cancel *cancel, struct err *err);
/* Whom its requests go to: the same for all repositories of one registry, and good for
 * nothing but to be compared. */
const struct host *repository_host(const struct repository *r);
/* HOST[:PORT] of the registry or its mirror that sent content last; borrowed. */
const char *repository_served_by(const struct repository *r);

/* What the registry, or a mirror, said last of its limit. */
void registry_heard(struct repository *r, struct rate_limit *ret_rate);
/* Little remains of a limit that callers with these credentials were told of: what can be
 * had without a GET is (heard.h). */
bool registry_is_low(struct repository *r);

/* What the registry wanted to be known in its answers so far (warning.h), as one line. */
char *repository_warnings(struct repository *r, char *out, size_t size);

struct remote_manifest {
	struct digest digest; /* of the bytes */
	char media_type[MEDIA_TYPE_MAX];
	struct buf body; /* empty after a HEAD */
	int64_t size;
};

void remote_manifest_free(struct remote_manifest *m);

/* What the reference leads to now, by HEAD where the registry gives a digest
 * (which is a hint only: whoever uses the content compares), else by GET. */
int registry_resolve(struct repository *r, const struct reference *ref, struct cancel *cancel,
		     struct remote_manifest *ret_manifest, struct err *err);

/* The bytes, by tag or by digest. By digest they are compared with it:
 * E_DIGEST_MISMATCH. At most MANIFEST_BYTES_MAX. E_MANIFEST_UNKNOWN:
 * "manifest for REF not found: manifest unknown: …"; E_DENIED: "pull access denied
 * for REPO, repository does not exist or may require 'docker login': …". */
int registry_manifest(struct repository *r, const struct reference *ref, struct cancel *cancel,
		      struct remote_manifest *ret_manifest, struct err *err);

/* A blob that is a document, as a whole: an image configuration. Size and digest are
 * those of the descriptor: E_BAD_CONTENT, E_DIGEST_MISMATCH; E_LIMIT above CONFIG_BYTES_MAX. */
int registry_document(struct repository *r, const struct descriptor *d, struct cancel *cancel, struct buf *ret_body,
		      struct err *err);

struct fetch_progress {
	int64_t offset;	 /* bytes of the ingest without a gap: they may be read */
	int64_t present; /* all that are here */
	int64_t fetched; /* over the network, by this transfer */
};

/* What a blob transfer tells while it runs; may be called often, on the caller's thread. */
struct fetch_observer {
	/* A failure ends the transfer; E_BAD_CONTENT does so when the bytes are of one version
	 * of the blob, else what was put together is fetched once more as a whole. */
	int (*progress)(void *arg, const struct fetch_progress *now, struct err *err);
	/* A connection failed and the transfer goes on: shown to users. */
	void (*retrying)(void *arg, const char *why);
	/* The ingest starts again at 0: whoever reads the file must too. */
	void (*restarted)(void *arg);
	void *arg;
};

/* Fetches what is missing of the ingest, through interruptions, until it is
 * finished (ingest_finish() is called). Resumes by Range with If-Range; a server
 * without ranges, or that answers 416, is asked for the whole. A large blob comes in
 * ranges, over several connections where some are idle (split.c, lanes.h). */
int registry_fetch(struct repository *r, const struct descriptor *d, struct ingest *ingest,
		   const struct fetch_observer *observer, struct cancel *cancel, struct err *err);

/* GET /v2/ with the credentials: OK, E_UNAUTHENTICATED. `server` is HOST[:PORT] or a
 * URL; "" is Docker Hub. ret_identity_token (may be
 * NULL) is a refresh token or NULL; wipe and free it. */
int registry_check_auth(struct registry *r, const char *server, const struct credentials *credentials,
			char **ret_identity_token, struct cancel *cancel, struct err *err);

#endif
