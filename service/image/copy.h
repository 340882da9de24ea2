/*
 * One copy from registry to registry, in steps:
 *
 *   plan      copy_plan.c    the reference → every document that it leads to, children
 *                            first, and every blob that those name
 *   blobs     copy_blobs.c   what the destination does not have: mounted when both are of
 *                            one registry, else passed on while it arrives, several at once
 *   publish   copy.c         documents in that order, the tag last
 *
 * Nothing is looked into, changed or kept: artifacts, attestations, encrypted layers and
 * types that nobody here knows go over bit by bit. Only documents are held in memory. A
 * foreign layer that has URLs stays where it is.
 *
 * The call's thread does all of it but the blobs, and it alone sends events.
 */
#ifndef SERVICE_IMAGE_COPY_H
#define SERVICE_IMAGE_COPY_H

#include "service/image/image_service.h"
#include "service/image/upload_status.h"
#include "service/registry/upload.h"

enum {
	COPY_PARALLEL = 4, /* blobs at once */
	COPY_DOCUMENTS_MAX = INDEX_ENTRIES_MAX,
	COPY_DOCUMENTS_BYTES_MAX = 32 * 1024 * 1024,
	COPY_BLOBS_MAX = 100 * 1000,
	COPY_REFERRERS_DEPTH_MAX = 4, /* of what refers to what refers to the image */
};

/* A manifest or an index. */
struct copy_document {
	struct digest digest;
	struct buf body;
	char media_type[MEDIA_TYPE_MAX];
	struct manifest manifest; /* whose descriptors the blobs borrow; empty for an index */
};

/* A blob; one that several manifests name stands once. */
struct copy_blob {
	const struct descriptor *descriptor;
	bool layer;
	struct upload_status status; /* copy.mu */
	struct upload_told told;
};

struct copy {
	struct image_service *service;
	struct rpc_call *call;
	struct cancel *cancel;
	struct credentials source_credentials, destination_credentials;
	struct reference source, destination; /* the destination without a tag: by digest */
	struct repository *from, *to;
	struct repository *mounting; /* the destination with the right to mount; NULL: two registries */
	struct platform platform;
	bool platform_given, referrers, insecure;

	struct copy_document **documents; /* children first; each referrer behind its subject */
	size_t n_documents, documents_bytes;
	bool there;		    /* the destination leads to the root already: nothing is to be done */
	struct copy_document *root; /* one of them */
	struct copy_blob *blobs;
	size_t n_blobs;
	void *seen; /* digests of documents and blobs, a tree (search.h) */

	pthread_mutex_t mu;
	int64_t sent_bytes;	     /* mu */
	struct transfer_watch watch; /* woken when a status has changed */
};

/* Fills documents, root and blobs; or `there` and the root alone. */
int copy_plan(struct copy *c, struct err *err);
void copy_plan_free(struct copy *c);

int copy_blobs(struct copy *c, struct err *err);

/* copy.c: events */
int copy_send_layer(struct copy *c, struct copy_blob *b, const struct upload_status *status, struct err *err);

#endif
