/*
 * Images of layers: files that can be mounted, one for each diff ID and version of the
 * writer. What content is to a registry's bytes, these are to a mount.
 *
 *   ROOT/layers/sha256/XX/HEX.VERSION
 *
 * They come in by one door, as content does: layer_image_new() gives an unnamed file,
 * which who makes the image fills and checks; layer_image_seal() then takes a descriptor
 * with which nobody can write; layer_images_commit() makes any number of them durable and
 * visible: fsync, link, fsync of the directories, then the records (keys.h, t). A record
 * says that the file is complete; a file without one is garbage. The image of a diff ID
 * that is there already is kept, and the new one dropped.
 *
 * They go with the last blob of their diff ID (gc.h), and stay while one is missing that
 * something needs: commit them after the layer's own record was written, and before what
 * makes the layer be listed.
 *
 * Threads: a struct layer_image belongs to one at a time, until it is sealed; then several
 * may commit it. All else from any.
 */
#ifndef STORE_LAYERS_LAYER_IMAGE_H
#define STORE_LAYERS_LAYER_IMAGE_H

#include "proto/runtime/cancel.h"
#include "store/store.h"
#include "store/types/layer_facts.h"

struct layer_image;

/* An empty file for reading and writing, which is gone when it is not committed. */
int layer_image_new(struct store *s, struct layer_image **ret_image, struct err *err);
void layer_image_free(struct layer_image *i); /* NULL is fine */
void layer_image_freep(struct layer_image **i);

int layer_image_fd(const struct layer_image *i);				/* stays the image's */
const struct layer_image_facts *layer_image_facts(const struct layer_image *i); /* of a sealed one */
int layer_image_take_fd(struct layer_image *i); /* becomes the caller's, for layer_image_seal() */
/* Takes `fd`, read-only, of the same file. */
void layer_image_seal(struct layer_image *i, int fd, const struct layer_image_facts *facts);

/* Of a sealed one that is not committed soon: makes it durable and closes its file, so that
 * any number of them may wait. E_DISK_FULL, E_IO. */
int layer_image_park(struct layer_image *i, struct err *err);

/* Of sealed images; NULL ones are passed over. E_DISK_FULL, E_IO. */
int layer_images_commit(struct store *s, struct layer_image *const *images, const struct digest *diff_ids, size_t n,
			struct err *err);

bool layer_image_exists(struct store *s, const struct digest *diff_id, uint32_t writer_version);
/* A read-only descriptor. E_NOT_FOUND. */
int layer_image_open(struct store *s, const struct digest *diff_id, uint32_t writer_version, int *ret_fd,
		     struct layer_image_facts *ret_facts, struct err *err);

enum { LAYER_IMAGE_FILE_MAX = 192 };

/* What is on record, and the file below the store's root. E_NOT_FOUND. */
int layer_image_get(struct store *s, const struct digest *diff_id, uint32_t writer_version,
		    char ret_file[LAYER_IMAGE_FILE_MAX], struct layer_image_facts *ret_facts, struct err *err);

/* Bytes and number of all of them, from their records alone. */
int layer_images_usage(struct store *s, int64_t *ret_bytes, int64_t *ret_count, struct err *err);

/* Of one diff ID, of all versions. */
int layer_images_size(struct store *s, const struct digest *diff_id, int64_t *ret_bytes, struct err *err);

/* ---- for the check --------------------------------------------------------------------- */

/* What a record says, and which one it is. */
struct layer_image_entry {
	struct digest diff_id;
	uint64_t revision;
	struct layer_image_facts facts;
};

/* E_NOT_FOUND: there is no such record; E_CORRUPT: it cannot be read. */
int layer_image_entry(struct store *s, const struct digest *diff_id, uint32_t writer_version,
		      struct layer_image_entry *ret_entry, struct err *err);

/* Puts a sealed image, parked by this, in the place of the entry's, whose file is missing or
 * not what it was. Who has that one open, or mounted, keeps it. E_ABORTED: the record is
 * another one by now. */
int layer_image_replace(struct store *s, struct layer_image *i, const struct layer_image_entry *entry, struct err *err);

/* Drops the record, and the file if there is one. E_ABORTED. */
int layer_image_drop(struct store *s, const struct layer_image_entry *entry, struct err *err);

/* ---- for the collector --------------------------------------------------------------- */

/* Removes the images of those of the diff IDs of which no blob is left or needed; adds to
 * *freed. */
int layer_images_release(struct store *s, const struct digest *diff_ids, size_t n, int64_t *freed, struct err *err);

/* Those of other versions of the writer than this one: nobody opens them. */
int layer_images_sweep_versions(struct store *s, uint32_t writer_version, struct cancel *cancel, int64_t *freed,
				struct err *err);

/* Those whose layer is gone, files without a record that were linked before
 * `older_than_ns`, and what an earlier run of the store left on its way in. */
int layer_images_sweep(struct store *s, int64_t older_than_ns, struct cancel *cancel, int64_t *freed, struct err *err);

#endif
