/*
 * Images and names: publish, look up, tag, remove.
 *
 * An image is a manifest whose configuration and layers are committed and
 * verified; its record (meta/keys.h, m) is written last, so a listed image is
 * complete. It stays until it is removed, with or without names; names are what
 * users call it.
 *
 * Records are returned unpacked (protobuf-c), in an arena of the caller; E_LIMIT when
 * its cap is too small.
 *
 * A reference with a digest is stored, and looked up, as NAME@DIGEST: its tag is
 * dropped, as docker does.
 */
#ifndef STORE_IMAGE_IMAGE_H
#define STORE_IMAGE_IMAGE_H

#include "proto/runtime/arena.h"
#include "store/gc/gc.h"
#include "store/gc/lease.h"
#include "store/records.pb-c.h"
#include "store/types/layer_facts.h"

/* ---- publish -------------------------------------------------------------- */

struct layer_image;

struct publication {
	/* The names that will lead to the image, canonical; may be none. */
	const struct reference *names;
	size_t n_names;
	struct digest root;	 /* the index, or the manifest itself */
	struct bytes root_bytes; /* of the index; empty when root is the manifest */
	const char *root_media_type;
	struct digest manifest_digest;
	int64_t manifest_size;
	const char *manifest_media_type;
	const struct manifest *manifest;
	const struct image_config *config;
	const struct layer_facts *layers; /* one for each manifest layer */
	/* The same, or NULL: sealed images of these layers, to be committed with their
	 * records; NULL where there is none. Owned by the caller. */
	struct layer_image *const *layer_images;
	const char *source; /* domain/path; NULL when it came from no registry */
	/* Holds all blobs since before they were claimed or committed. Ended by the
	 * publication; NULL: one is made for the call. */
	const struct lease_id *lease;
	bool synthesized; /* the manifest was made here; counts for an image that is new */
	int32_t action;	  /* of the event: pull, load, …; 0: there is none */
	int64_t now_ns;
};

/* All blobs must be committed: E_NOT_FOUND names one that is not. *ret_changed: a
 * name did not lead here before. E_ABORTED: the lease has ended. An image that is
 * there already gets its edges and layer records again, so that publishing heals. */
int image_publish(struct store *s, const struct publication *p, bool *ret_changed, struct err *err);

/* What image_publish() would refuse whatever the store holds: layers that are not those
 * of the configuration, a record that is too large. */
int image_publication_check(const struct publication *p, struct err *err);

/* What is on record about a layer blob; E_NOT_FOUND when it was never verified. */
int layer_facts_get(struct store *s, const struct digest *blob, struct layer_facts *ret_facts, struct err *err);
/* Blobs that have been verified to have this diff ID, in no order; how many. */
size_t layers_by_diff_id(struct store *s, const struct digest *diff_id, struct digest *ret_blobs, size_t max);
/* A blob that is committed and has this diff ID, if any. */
int layer_by_diff_id(struct store *s, const struct digest *diff_id, struct digest *ret_blob, struct err *err);

/* Saturates: sizes are what images claim. Neither is negative. */
static inline int64_t add_sizes(int64_t a, int64_t b)
{
	return a > INT64_MAX - b ? INT64_MAX : a + b;
}

/* ---- look up -------------------------------------------------------------- */

struct image {
	struct digest manifest;
	Imaged__Store__V1__ImageRecord *record; /* in the arena */
	/* Canonical, sorted; in the arena. All names of all manifests of the same
	 * configuration, since those are one image. */
	char **names;
	size_t n_names;
	struct digest *manifests; /* of the same configuration, this one included */
	size_t n_manifests;
	const char *pinned_by; /* NULL: nothing does (pins.h) */
};

/* As docker resolves (docker-cli.md 1.5): 64 hex digits are an ID; then a
 * reference; then a prefix of an ID (config digest, then manifest digest). *ret_by_id
 * tells which. E_NO_SUCH_IMAGE: "No such image: NAME:latest". */
int image_resolve(struct store *s, const char *text, struct arena *arena, struct image *ret_image, bool *ret_by_id,
		  struct err *err);
/* Whether that failed because several image IDs begin so. */
bool image_id_is_ambiguous(struct store *s, const char *text);
/* As if these were not there; NULL: nothing. Of an image that is left it still has all names. */
int image_resolve_without(struct store *s, const struct gone *gone, const char *text, struct arena *arena,
			  struct image *ret_image, bool *ret_by_id, struct err *err);
int image_get(struct store *s, const struct digest *manifest, struct arena *arena, struct image *ret_image,
	      struct err *err);
bool image_is_listed(struct store *s, const struct digest *manifest);
int name_get(struct store *s, const char *canonical, struct arena *arena, Imaged__Store__V1__NameRecord **ret_record,
	     struct err *err);

/* Pages of images. `after` is the key of the last image of the page before (empty
 * for the first) and gets the key of the last one visited. Visits one
 * image for each configuration, at most `limit` accepted ones: the visitor
 * returns 1 (accepted), 0 (filtered out) or a negative code, which ends the list; if
 * it has filled the caller's err, that stays. *ret_more: there may be further ones.
 * By name: each image at its first name, those without a name last, newest first.
 * `arena` holds one image at a time: it is emptied before each visit, with all that the
 * visitor put there; its cap is for the largest image. */
enum image_order { IMAGE_ORDER_CREATED_DESC, IMAGE_ORDER_NAME };

typedef int image_visit(void *arg, const struct image *image);

int image_list(struct store *s, enum image_order order, struct buf *after, size_t limit, struct arena *arena,
	       image_visit *visit, void *arg, bool *ret_more, struct err *err);

/* ---- change --------------------------------------------------------------- */

/* `target` gets "latest" when it has no tag. E_INVALID_REFERENCE: a target with a
 * digest, or named like an algorithm; E_NO_SUCH_IMAGE: the image went meanwhile. */
int image_tag(struct store *s, const struct image *image, const struct reference *target, int64_t now_ns,
	      struct err *err);
/* The same for a name that leads on to the index that the image was reached through; one
 * that is gone meanwhile leaves the manifest alone. */
int image_tag_root(struct store *s, const struct image *image, const struct digest *root,
		   const struct reference *target, int64_t now_ns, struct err *err);

/* Pins the image by hand, or takes that back; durable. E_NO_SUCH_IMAGE: it went meanwhile. */
int image_pin(struct store *s, const struct image *image, bool pin, struct err *err);

enum removed_kind { REMOVED_NAME = 1, REMOVED_IMAGE = 2, REMOVED_CHAIN = 3 };

/* Called for each thing that went (would go), in docker's order: names (familiar
 * form), the image ("sha256:…"), its layer chains from the top with the size of their
 * files. A negative code ends the call, with what the visitor has said in the caller's
 * err; what was removed stays removed. */
typedef int removed_visit(void *arg, enum removed_kind kind, const char *value, int64_t size);

struct removal {
	bool force;
	bool keep_parents; /* what the image was made from stays, although nobody names it (parent.h) */
	bool dry_run;
	/* dry_run: what those before would have removed is gone; NULL: nothing is. Then `freed`
	 * is 0, and rehearsal_freed() tells it for all of them. */
	struct rehearsal *rehearsal;
	int64_t now_ns;
	removed_visit *visit;
	void *arg;
	int64_t freed; /* out: bytes of content */
};

/* docker rmi (docker-cli.md 7) for one argument. E_CONFLICT: several repositories
 * name it and the argument is an ID; or others were made from it; or it is mounted or pinned and
 * would be deleted, or would lose a name that it is pinned by. */
int image_remove(struct store *s, const char *text, struct removal *r, struct err *err);
/* Removes one image with all its names and manifests, as long as it is the image
 * that was looked at: E_CONFLICT when its names have changed since, it is mounted, or pinned and
 * this is not forced. One that
 * others were made from loses its names only. */
int image_delete(struct store *s, const struct image *image, struct removal *r, struct err *err);

/* When it was last used; written at most once a minute, failures do not matter. */
void image_touch(struct store *s, const struct digest *manifest, int64_t now_ns);
int64_t image_last_used_ns(struct store *s, const struct digest *manifest);

#endif
