/*
 * Blobs and manifests to a registry (OCI distribution-spec 1.1, "Push"; registry-cri.md
 * 1.1, 1.4).
 *
 * A blob: mounted out of another repository where one is named (201), else an upload
 * session: POST, then one PUT of all of it. In pieces (PATCH) only where the server names
 * a least length for them, after a 413, or after a break whose session is still known:
 * GET of the session tells how far it got. A small blob is sent with the POST; who answers
 * 202 to that goes on with the session. Each answer names where the session goes on
 * (upload_location.c). What was refused or given up is cancelled with DELETE.
 *
 * All of it runs on the thread of the caller, who owns everything that is passed; the
 * repository must be of repository_open_push(). Failures carry the registry's words.
 * Threads: any.
 */
#ifndef SERVICE_REGISTRY_UPLOAD_H
#define SERVICE_REGISTRY_UPLOAD_H

#include "service/registry/registry.h"
#include "service/registry/url.h"

/* HEAD; what is not clearly there is not there. Fails as a request does. */
int registry_has_blob(struct repository *r, const struct digest *d, struct cancel *cancel, bool *ret_has,
		      struct err *err);

/* What an upload tells while it runs; may be called often, on the thread of the call. */
struct upload_observer {
	void (*progress)(void *arg, int64_t offset); /* bytes that are on their way */
	void (*retrying)(void *arg, const char *why);
	void *arg;
};

/* A repository that may have the blob; `repository` was opened with it as `from`. */
struct upload_mount {
	const char *from;
	struct repository *repository;
};

struct upload {
	const struct digest *digest;
	struct http_source source; /* the blob; read again from anywhere after a failure */
	const struct upload_mount *mounts;
	size_t n_mounts; /* tried in order until a session begins */
	const struct upload_observer *observer;
};

struct upload_result {
	const struct upload_mount *mounted; /* NULL: it was sent */
	int64_t sent;			    /* bytes, those of failed attempts too */
};

/* E_DENIED, E_LIMIT (413), E_CORRUPT (the registry got other bytes than the digest says),
 * E_REGISTRY, E_RATE_LIMITED, and what the source fails with. */
int registry_upload(struct repository *r, const struct upload *u, struct cancel *cancel,
		    struct upload_result *ret_result, struct err *err);

/* Whether the tag or the digest leads to this manifest already, by HEAD; `media_type` is
 * what is asked for (NULL: anything). What is not clearly so is not so. */
int registry_has_manifest(struct repository *r, const char *what, const char *media_type, const struct digest *d,
			  struct cancel *cancel, bool *ret_has, struct err *err);

struct manifest_upload {
	struct bytes body; /* sent as it is */
	const char *media_type;
	const struct digest *digest;
	const char *const *tags; /* none: it is stored by its digest */
	size_t n_tags;
};

/* Several tags go in one request where the registry takes that (?tag=), else one by one.
 * What the manifest names must be there. E_DIGEST_MISMATCH: the registry stored other
 * bytes. E_NOT_FOUND: it misses something that the manifest names. One with a subject is
 * listed there (referrers.h) when the registry does not say that it does so itself. */
int registry_put_manifest(struct repository *r, const struct manifest_upload *m, struct cancel *cancel,
			  struct err *err);

/* upload_location.c: where a session goes on, from the Location of the answer at `at`.
 * Relative or absolute; its query stays as it was sent. A registry behind a TLS proxy may
 * say http of its own host: that is the origin. E_REGISTRY without a Location, E_DENIED
 * from https to http elsewhere. `ret_location` is freed by the caller. */
int upload_location(const struct url *origin, const struct url *at, const char *location, char **ret_location,
		    struct err *err);
/* "0-N" or "bytes=0-N" of a session's answer → N + 1; -1: it says nothing that counts. */
int64_t upload_range_end(const char *range);

#endif
