/*
 * One load, in steps:
 *
 *   scan      load_scan.c       the archive's members; in order their bytes become
 *                               content at once, on demand only what is asked for later
 *   plan      load_plan.c       index.json and manifest.json: which images there are
 *             load_docker.c     what docker's manifest.json describes
 *             load_parents.c    which of them was made from which
 *             load_v1.c         what there is without either: docker's first format
 *   verify    load_layers.c     each layer inflated and compared with the configuration,
 *                               while the next one comes
 *   publish   load.c            after all of that: image records and names
 *
 * Content comes in under one lease (load_blobs.c). Nothing is named before all of the
 * archive has been found good; when the load fails, what only it brought is collected.
 *
 * All of it runs on the thread of the call.
 */
#ifndef SERVICE_IMAGE_LOAD_H
#define SERVICE_IMAGE_LOAD_H

#include "proto/runtime/hash.h"
#include "service/image/archive_source.h"
#include "service/image/image_service.h"
#include "store/types/docker_archive.h"
#include "store/types/member_name.h"

enum {
	LOAD_MEMBERS_MAX = 50 * 1000,
	LOAD_NAMES_BYTES_MAX = 8 * 1024 * 1024,	      /* of the members' names */
	LOAD_DOCUMENTS_BYTES_MAX = 512 * 1024 * 1024, /* of JSON, each time it is read */
	LOAD_LINKS_MAX = 8,			      /* one leading to the next */
	LOAD_BATCH = 128,			      /* blobs that become durable together */
	LOAD_JOBS = 3,				      /* layers verified at a time */
	LOAD_PATH_MAX = 2 * 4096,
	LOAD_SPARE_MAX = 4 * 1024 * 1024, /* of content that is here: the copy that is kept until it is claimed */
};

/* A member of the archive that may matter. */
struct load_member {
	char *name;   /* as archive_member_name() gives it */
	char *target; /* of a link, another member's name; else NULL */
	int64_t offset, size;
	struct load_blob *blob; /* once its bytes are content */
	UT_hash_handle hh;
};

/* Content of this load, brought or found. */
struct load_blob {
	struct digest digest;
	int64_t size;
	bool told;		   /* the client saw it come, as a layer, and not yet that it is verified */
	bool brought;		   /* by this archive: it was not here before */
	bool counted;		   /* among the new bytes, once an image needs it */
	bool lost;		   /* it was here, and went before it was claimed */
	struct ingest *ingest;	   /* until the batch is committed; of what is here, perhaps a copy */
	struct layer_facts *facts; /* of a verified layer */
	struct layer_job *job;	   /* being verified */
	struct layer_image *image; /* being made, and sealed once it is verified */
	UT_hash_handle hh;
};

/* An image that is complete but for its publication; the documents are content. */
struct load_image {
	struct digest root, manifest, config;
	struct digest parent; /* the configuration that it was made from; unset when there is none */
	bool synthesized;     /* the manifest was made here */
	char **names;	      /* canonical */
	size_t n_names;
};

/* An entry of index.json, and what became of it: it may stand there again. */
struct load_root {
	struct digest digest;
	int64_t size;
	enum media_kind kind;
	size_t image; /* its place in load.images, or one of these: */
	UT_hash_handle hh;
};

#define LOAD_NOTHING SIZE_MAX	     /* of another platform */
#define LOAD_ARTIFACT (SIZE_MAX - 1) /* no image */

/* A layer that is being verified: a place in the queue. */
struct load_layer {
	struct load_blob *blob;
	size_t number; /* in its image, from 0 */
	bool is_new;   /* its progress is told */
};

/* When progress was told last. The more there has been of it the rarer it gets, so that
 * it never fills the window of a client that reads nothing before it has sent all. */
struct pace {
	int64_t bytes, at_ms, n;
};

/* For whom a load runs, when that is no client: an archive whose bytes come in order, and who is
 * told of what becomes of it. */
struct load_peer {
	int (*receive)(void *arg, struct bytes *ret_data, struct err *err); /* as archive_peer's */
	int (*send)(void *arg, const Imaged__V1__LoadEvent *event, struct err *err);
	void *arg;
	struct cancel *cancel;
	struct platform platform; /* images of others are passed over */
};

/* The images get no names, whatever the archive calls them. */
int load_unnamed(struct image_service *service, const struct load_peer *peer, struct err *err);

struct load {
	struct image_service *service;
	struct rpc_call *call;	      /* NULL: there is a peer */
	const struct load_peer *peer; /* else NULL */
	struct cancel *cancel;
	struct platform platform;
	bool platform_given;
	unsigned number; /* in the names of members that are told */
	struct archive_source source;

	struct load_member *members; /* by name */
	int64_t received;
	struct pace received_pace;
	size_t n_came; /* members, also those whose name came again */
	size_t names_bytes;
	int64_t documents_bytes;
	struct load_blob *blobs;	     /* by digest */
	struct load_blob *batch[LOAD_BATCH]; /* not yet claimed or committed */
	size_t n_batch;
	struct lease_id lease;
	bool leased;
	struct layer_workers *workers;
	struct load_layer layers[LOAD_JOBS]; /* the oldest first */
	size_t n_layers;
	struct load_image *images;
	size_t n_images, images_capacity;
	struct load_root *roots;
	size_t passed_over;	 /* images of other platforms */
	struct err not_an_image; /* why the first of the other things is none */
	int64_t new_bytes, present_bytes;
};

/* ---- load_scan.c ----------------------------------------------------------- */

int load_scan(struct load *l, struct err *err);
/* By name, through links. NULL: there is none. */
struct load_member *load_find(struct load *l, const char *name);
/* What a name of a document leads to: as it is told (docker unpacks into a directory below its
 * root; here nothing is unpacked), and E_BAD_CONTENT when it leads out of the archive. */
char *load_member_path(const struct load *l, const char *name, char out[LOAD_PATH_MAX]);
int load_clean_name(const struct load *l, const char *text, char ret_name[MEMBER_NAME_ROOM], struct err *err);
int load_fail_missing(const struct load *l, const char *name, struct err *err);
/* Makes the member's bytes content; it has its blob afterwards. Of a layer the diff ID
 * is given, where it is known, and the client told how it comes. */
int load_bring(struct load *l, struct load_member *m, const struct digest *diff_id, struct err *err);
/* JSON is about to be read: E_LIMIT when it has been too much. */
int load_account_document(struct load *l, int64_t size, struct err *err);
/* A document of the archive, at most what fits the buffer. */
int load_read_member(struct load *l, struct load_member *m, struct buf *out, struct err *err);
void load_forget_members(struct load *l);

/* ---- load_blobs.c ---------------------------------------------------------- */

struct load_blob *load_blob_find(struct load *l, const struct digest *d);
/* An ingest that is finished (taken over), or content that is there (NULL). */
int load_blob_add(struct load *l, const struct digest *d, int64_t size, struct ingest *ingest,
		  struct load_blob **ret_blob, struct err *err);
/* A document that is made here. */
int load_blob_add_bytes(struct load *l, struct bytes data, struct digest *ret_digest, struct err *err);
/* Makes the batch durable. */
int load_blobs_commit(struct load *l, struct err *err);
/* A descriptor for reading, whether committed or not. */
int load_blob_open(struct load *l, const struct load_blob *b, int *ret_fd, struct err *err);
/* E_ABORTED: it was removed meanwhile, and its bytes cannot be had again. */
int load_blob_check(struct load *l, const struct digest *d, struct err *err);
int load_blob_read(struct load *l, const struct load_blob *b, struct buf *out, struct err *err);
/* Content by digest: of the archive ("blobs/sha256/…") or of the store; NULL in
 * *ret_blob when it is in neither. The diff ID is for load_bring(). */
int load_blob_get(struct load *l, const struct digest *d, const struct digest *diff_id, struct load_blob **ret_blob,
		  struct err *err);
/* Whether load_blob_get() would find it. */
bool load_blob_present(struct load *l, const struct digest *d);
/* Ends the lease, and collects what nothing needs. */
void load_blobs_release(struct load *l);

/* ---- load.c ---------------------------------------------------------------- */

int load_send(struct load *l, const Imaged__V1__LoadEvent *event, struct err *err);

/* ---- load_layers.c --------------------------------------------------------- */

/* Whether progress is worth telling again. */
bool pace_is_due(struct pace *p, int64_t bytes);
int load_tell_layer(struct load *l, const struct digest *diff_id, int64_t current, int64_t total, struct err *err);
/* Begins to verify a layer of an image and to compare it with the configuration, while
 * the next one comes; first it waits for the oldest when there are LOAD_JOBS. */
int load_layer_begin(struct load *l, struct load_blob *b, const struct image_config *config, size_t number,
		     struct err *err);
/* Verifies a layer of which nothing is known; the blob has its facts afterwards. */
int load_layer_look(struct load *l, struct load_blob *b, struct err *err);
/* Waits for all layers of the image. */
int load_layers_finish(struct load *l, const struct image_config *config, struct err *err);

/* ---- load_plan.c, load_docker.c, load_v1.c -------------------------------------------- */

int load_plan(struct load *l, struct err *err);
void load_forget_roots(struct load *l);
int load_plan_docker(struct load *l, struct bytes manifest_json, struct err *err);
/* load_parents.c. E_BAD_CONTENT: the histories say otherwise. */
int load_check_parents(struct load *l, struct err *err);
int load_publish_parents(struct load *l, struct err *err);
/* An image as manifest.json would describe it, whose configuration is a blob already. */
int load_add_described(struct load *l, const struct docker_archive_image *entry, const struct digest *config,
		       struct err *err);
int load_plan_v1(struct load *l, struct err *err);
/* Takes over the names. */
int load_add_image(struct load *l, const struct load_image *image, struct err *err);
struct load_image *load_image_find(struct load *l, const struct digest *config);
/* Whether an image with this configuration has the name already. */
bool load_is_named(const struct load *l, const struct digest *config, const char *name);
/* A name of the archive, checked like any reference; it must have a tag. */
int load_add_name(struct load_image *image, const char *text, struct err *err);
void load_image_free(struct load_image *image);
/* False when a platform was asked for and this is another. */
bool load_wants_platform(struct load *l, const struct platform *p);

#endif
