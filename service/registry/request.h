/*
 * One request to a repository: who is asked (endpoint.h), contact, authentication,
 * redirects (request.c), and for small answers also the body and the retries (reply.c).
 *
 * A mirror that fails, or that answers with a status of 400 or more, is no answer:
 * the next host is asked.
 */
#ifndef SERVICE_REGISTRY_REQUEST_H
#define SERVICE_REGISTRY_REQUEST_H

#include "service/registry/repository.h"

struct request {
	const char *method; /* "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" */
	const char *path;   /* "/v2/NAME/manifests/TAG"; where "/v2" is, the host's own path comes. NULL with `at` */
	/* Ask there: where an earlier answer came from or what it said, and who gave that answer; NULL: as the
	 * path says. */
	const char *at;
	struct endpoint *from;
	enum host_capability capability;
	const char *accept; /* NULL: anything */
	const char *range, *if_range, *if_match;
	const char *content_type, *content_range; /* of the body */
	struct bytes body;
	const struct http_source *source; /* in its place, see http.h */
	bool bulk;
	int64_t timeout_ms; /* 0: none */
};

/* The path of something in the repository: kind is "manifests" or "blobs". NULL
 * without memory. */
char *request_path(const struct repository *r, const char *kind, const char *what);

/* `Get "URL"` of a request as messages show it. */
char *request_shown(const struct host_view *host, const struct request *q);

/* The final answer: after a 401 was answered and redirects were followed. */
struct answer {
	struct http_exchange *x;
	char *shown;	 /* `Get "URL"` of the last stop, without its query */
	struct url at;	 /* the last stop; its query may be signed: not for messages */
	bool redirected; /* the last stop is not the registry */
	struct endpoint *from;
};

void answer_free(struct answer *a); /* also the cleanup function */

/* Its body broke off: if it is a mirror's, the next request asks another host. */
void answer_broke_off(struct repository *r, const struct answer *a);
/* What `from` sent is not what its digest says: the repository does not ask it again. True
 * when there is another to ask instead. */
bool endpoint_refuse(struct repository *r, struct endpoint *from, enum host_capability capability);

/* Any status is an answer. ret_class (may be NULL; written always): whether a
 * failure is worth another attempt. */
int request_send(struct repository *r, const struct request *q, struct cancel *cancel, struct answer *ret_answer,
		 enum retry_class *ret_class, struct err *err);

/* The same, through failures that are worth another attempt, as in a transfer (retry.h):
 * the last answer, whatever its status. */
int request_patient(struct repository *r, const struct request *q, struct cancel *cancel, struct answer *ret_answer,
		    struct err *err);

/* The Accept header of a request for a manifest of any kind (manifest.c). */
extern const char manifest_accept[];

/* A small answer with its body; other statuses than 200 are cut at ERROR_BODY_MAX. */
struct reply {
	int status;
	int64_t content_length; /* -1 unknown */
	int64_t retry_after_ms;
	bool used_up; /* nothing remains of the registry's limit, it says */
	char *shown;
	char content_type[MEDIA_TYPE_MAX]; /* without parameters, lower case */
	char digest[DIGEST_TEXT_MAX];	   /* Docker-Content-Digest, or "" */
	char *next;			   /* target of the Link to the next page, as sent; NULL: none */
	char *filters;			   /* OCI-Filters-Applied; NULL: none */
	char *etag;			   /* ETag; NULL: none */
	struct buf body;
	struct endpoint *from;
};

void reply_free(struct reply *r); /* also the cleanup function */

/* The query of the next page of a list, by the answer to this one; NULL: this was the
 * last. Of the link only the query counts (link.h). The caller frees. */
int reply_next(const struct reply *r, char **ret_query, struct err *err);

/* With retries as for a question (retry.h); the last answer, whatever its status.
 * E_LIMIT when the body of a 200 is longer than max_body. */
int request_reply(struct repository *r, const struct request *q, size_t max_body, struct cancel *cancel,
		  struct reply *ret_reply, struct err *err);

/* What an answered exchange says about waiting; 0 nothing. */
int64_t request_retry_after(const struct repository *r, const struct http_exchange *x);

#endif
