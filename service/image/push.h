/*
 * One push, in steps:
 *
 *   plan      push_plan.c       the names → the roots they lead to, and the documents and
 *                               blobs that each of them stands on
 *   compress  push_compress.c   the manifest of an image whose own was made here
 *             push_index.c      the same of those that an index lists
 *   blobs     push_blobs.c      what the registry does not have: mounted or sent, several
 *                               at a time
 *   publish   push.c            manifests, children before parents, the tags last; then
 *                               the store notes where the image can be had
 *
 * A registry whose tag leads to the root already has all of it, and is asked nothing more.
 * Manifests, configurations and layers go as they are stored, so that their digests
 * survive. An index goes as it is when all it lists is here or at the registry already,
 * else the one image of it that the name stands for goes alone. Foreign layers stay where
 * they are.
 *
 * The call's thread does all of it but the blobs, for which it starts PUSH_PARALLEL
 * threads at most and joins them; it alone sends events.
 */
#ifndef SERVICE_IMAGE_PUSH_H
#define SERVICE_IMAGE_PUSH_H

#include "service/image/image_service.h"
#include "service/image/upload_status.h"
#include "service/registry/upload.h"
#include "store/archive/select.h"

enum {
	PUSH_PARALLEL = 5,   /* blobs at once */
	PUSH_MOUNTS_MAX = 3, /* repositories that are tried for one blob */
	PUSH_BLOBS_MAX = 20 * 1000,
	PUSH_DOCUMENTS_BYTES_MAX = 32 * 1024 * 1024, /* of one image */
};

/* A blob; one that several manifests name stands once. */
struct push_blob {
	struct digest digest;
	int64_t size;
	struct digest diff_id; /* of a layer, where it is known */
	bool layer, foreign;
	bool done;		     /* the registry has it */
	struct upload_status status; /* push.mu */
	struct upload_told told;
};

/* A manifest or an index. */
struct push_document {
	struct digest digest;
	struct buf body;
	char media_type[MEDIA_TYPE_MAX];
	bool is_image;
	size_t *blobs; /* places in push.blobs: configuration, then layers from the lowest */
	size_t n_blobs;
};

/* A root, and the tags that lead to it. */
struct push_image {
	struct digest root, chosen; /* chosen: the manifest; the root itself without an index */
	struct lease_id lease;	    /* of an index that was made for this push */
	bool leased;
	const struct saved_image *selected;
	const char **tags; /* in the selection */
	size_t n_tags;

	struct push_document *documents; /* children first, the root last; while it is its turn */
	size_t n_documents;
	size_t documents_bytes;
	struct digest *absent; /* listed by an index, and not here */
	size_t n_absent;
};

/* A repository of the same registry, for mounts. */
struct push_source {
	char path[REFERENCE_NAME_MAX + 1];
	struct repository *repository;
};

/* Who is told what happens. */
typedef int push_event(void *arg, const Imaged__V1__PushEvent *event, struct err *err);

struct push {
	struct image_service *service;
	push_event *event;
	void *arg; /* of event */
	struct cancel *cancel;
	struct credentials credentials;
	struct reference ref; /* with a tag unless all_tags */
	bool all_tags, docker_manifest;
	struct platform platform;
	bool platform_given;
	struct repository *repository;

	struct selection selection;
	struct push_image *images;
	size_t n_images;
	struct push_blob *blobs;
	size_t n_blobs, blobs_capacity;

	pthread_mutex_t mu;
	struct push_source *sources[64]; /* mu */
	size_t n_sources;		 /* mu */
	int64_t sent_bytes;		 /* mu */
	struct transfer_watch watch;	 /* dirty when a status has changed */
};

/* ---- push.c */

/* Content of the store that need be no image of it, as what was built. Held by the caller. */
struct push_content {
	const struct reference *ref; /* with a tag, which will lead to it */
	struct digest root, chosen;  /* as in push_image */
	struct credentials credentials;
	struct cancel *cancel;
	push_event *event;
	void *arg;
};

int push_content(struct image_service *service, const struct push_content *c, struct err *err);

/* ---- push_plan.c */

/* The images. E_NO_SUCH_IMAGE in docker's words, E_NO_PLATFORM. */
int push_plan(struct push *p, struct err *err);
/* All of their blobs. */
int push_collect(struct push *p, struct err *err);
/* Fills documents and absent; by the digest of a root other than its own where given. */
int push_load(struct push *p, struct push_image *image, const struct digest *root, struct err *err);
void push_unload(struct push_image *image);

/* ---- push_compress.c */

/* Of an image whose manifest was made here: leads `root` and `chosen` to the one that
 * docker would send, with compressed layers, which is made where there is none. */
int push_compress(struct push *p, struct push_image *image, const Imaged__Store__V1__ImageRecord *record,
		  struct err *err);

/* Of one that an index lists: the same in the index's kind of media types. *ret_found: false when there is no need. */
int push_compress_listed(struct push *p, const struct digest *manifest, struct digest *ret_other, bool *ret_found,
			 struct err *err);

/* ---- push_index.c */

/* The same for an image whose root is an index. */
int push_compress_index(struct push *p, struct push_image *image, struct err *err);

/* ---- push_blobs.c */

/* All blobs of the documents of this image. */
int push_blobs(struct push *p, const struct push_image *image, struct err *err);
void push_forget_sources(struct push *p);

/* ---- push.c: events */

int push_send_layer(struct push *p, struct push_blob *b, const struct upload_status *status, struct err *err);

#endif
