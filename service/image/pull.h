/*
 * One pull, in steps (DESIGN.md 6):
 *
 *   resolve   pull_resolve.c   reference → root → manifest, from the store where it
 *                              has them, else from the registry
 *   fetch     pull_fetch.c     lease, claims, shared transfers, progress events
 *   publish   pull.c           configuration against manifest against verified diff
 *                              IDs, commit, image record and names
 *
 * All of it runs on the caller's thread. Several tags (pull_tags.c) are as many pulls, one
 * after the other.
 */
#ifndef SERVICE_IMAGE_PULL_H
#define SERVICE_IMAGE_PULL_H

#include "service/image/image_service.h"

/* For whom a pull runs, and who is told of it. All functions are called on its thread. */
struct pull_peer {
	int (*send)(void *arg, const Imaged__V1__PullEvent *event, struct err *err);
	/* The configuration's bytes, before the layers are here; NULL: nobody waits for them. Not called when
	 * nothing was to be done. */
	int (*config)(void *arg, const struct digest *manifest, struct bytes config, struct err *err);
	void *arg;
	Imaged__V1__Transfer__Origin origin;
	struct cancel *cancel;
	struct rpc_call *call; /* workers end behind its answer; NULL: with the pull */
};

enum {
	/* Blobs of one image at once; of small ones, which cost round trips and no bandwidth, all
	 * that a registry gives turns to (transfer.h). */
	PULL_PARALLEL = 8,
	PULL_PARALLEL_SMALL = 16,
	PULL_SMALL_BYTES = 256 * 1024,
	PULL_PROGRESS_MS = 100, /* between two progress events of one layer */
};

enum pull_blob_kind { BLOB_DOCUMENT, BLOB_CONFIG, BLOB_LAYER };

/* A blob of the image; one that several layers share stands once. */
struct pull_blob {
	enum pull_blob_kind kind;
	struct descriptor descriptor; /* borrowed strings */
	struct bytes data;	      /* its bytes, of a BLOB_DOCUMENT or embedded: nothing is fetched */
	bool here;		      /* committed before, or its transfer is done */
	bool started;		      /* its transfer is ours */
	struct transfer *transfer;    /* NULL: not asked for yet, or its turn has not come */
	struct ingest *ingest;	      /* to be committed; the transfer's */
	struct layer_facts facts;
	struct layer_image *image;   /* of a layer that was transferred; the transfer's */
	struct transfer_status sent; /* what the client was told */
	int64_t sent_ms;
};

struct pull {
	struct image_service *service;
	const struct pull_peer *peer;
	struct cancel *cancel;
	struct credentials credentials;
	struct digest source; /* of repository and credentials: whose failures are ours */

	struct reference ref; /* with a tag or a digest; a digest drops the tag */
	struct platform platform;
	bool platform_given;
	struct repository *repository;

	bool name_known; /* the reference leads to an image of the store */
	struct digest root;
	struct buf root_body; /* empty when the root is in the store */
	char root_media_type[MEDIA_TYPE_MAX];
	struct digest manifest_digest;
	struct buf manifest_body; /* always */
	char manifest_media_type[MEDIA_TYPE_MAX];
	bool manifest_stored; /* its bytes came from the store */
	bool root_stored;
	struct manifest manifest;
	struct buf config_body;
	struct image_config config;
	bool config_known;

	struct lease_id lease;
	bool leased;
	bool no_layers; /* no images of them are made */
	struct layer_workers *workers;
	struct transfer_watch watch;
	struct pull_blob *blobs; /* documents, config, then layers from the lowest */
	size_t n_blobs;
	size_t *layer_blob; /* for each layer of the manifest its index in blobs */
	int64_t missing_bytes, fetched_bytes;
	bool image_known;    /* it was here before, under whatever name */
	int64_t image_bytes; /* that the layers' images will take at least */
};

/* The whole of it. Of the request all_tags is not heeded. */
int pull_for(struct image_service *service, const struct pull_peer *peer, const Imaged__V1__PullRequest *request,
	     struct err *err);
/* For the client of a call. */
int pull_one(struct image_service *service, struct rpc_call *call, const Imaged__V1__PullRequest *request,
	     struct err *err);
/* Each tag of the repository that the reference names, in the registry's order; ends at
 * the first failure. */
int pull_all_tags(struct image_service *service, struct rpc_call *call, const Imaged__V1__PullRequest *request,
		  struct err *err);

/* Fills name_known. */
int pull_look_up(struct pull *p, struct err *err);
/* Fills root: what the reference leads to now. */
int pull_resolve(struct pull *p, struct err *err);
/* 1 when the name leads to that root already, and nothing of it is missing; then nothing is to be done
 * and manifest and config digests are in *ret_name (in the arena). */
int pull_up_to_date(struct pull *p, struct arena *arena, Imaged__Store__V1__NameRecord **ret_name, struct err *err);
/* Fills the manifest, through the index if the root is one. */
int pull_manifest(struct pull *p, struct err *err);

/* Brings all blobs here; fills ingests, facts and config. */
int pull_fetch(struct pull *p, struct err *err);
void pull_leave(struct pull *p);

/* Events. */
int pull_send_resolved(struct pull *p, struct err *err);
int pull_send_layer(struct pull *p, const struct pull_blob *b, const struct transfer_status *status, bool existed,
		    struct err *err);

#endif
