/*
 * Saved images as one tar archive, given out in pieces: an OCI layout and a
 * docker-archive at once (docker-cli.md 9.3). Manifests, indexes, configurations and
 * layers are the bytes that the store holds, so that their digests survive; a blob that
 * several images share is there once. The documents come first, so that a reader of
 * the stream knows what follows. The same images give the same bytes.
 *
 * A lease keeps the blobs until save_close(). Every blob is compared with its digest
 * as it goes by. Memory: the documents, and one record an image.
 *
 * One thread at a time.
 */
#ifndef STORE_ARCHIVE_SAVE_H
#define STORE_ARCHIVE_SAVE_H

#include "store/archive/select.h"

struct save;

/* As selection_make(). */
int save_open(struct store *s, char *const *images, size_t n, const struct platform *platform, struct save **ret_save,
	      struct err *err);
/* The same of images that need not be listed, as those of a build: what leads to blobs is in the
 * store, held by the caller's lease until the archive is open. `docker`: a docker-archive too, not only
 * an OCI layout. The selection is needed no more afterwards. */
int save_open_selection(struct store *s, const struct selection *x, bool docker, struct save **ret_save,
			struct err *err);
void save_close(struct save *a);
void save_closep(struct save **a);

/* The next bytes, as many as fit; 0 at the end. E_CORRUPT: a blob is not what its
 * digest says, and the archive must not be used; E_NOT_FOUND: it is gone. */
int save_read(struct save *a, uint8_t *data, size_t size, size_t *ret_len, struct err *err);

#endif
