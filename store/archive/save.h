/*
 * Saved images as one tar archive, given out in pieces, in one of these layouts:
 *
 * SAVE_OCI_AND_DOCKER: an OCI layout and a docker-archive at once (docker-cli.md 9.3).
 * Manifests, indexes, configurations and layers are the bytes that the store holds, so that
 * their digests survive. SAVE_OCI: without the documents of docker's.
 *
 * SAVE_DOCKER: what docker up to version 24 writes (docker-cli.md 9.1), with plain layers.
 * IDs survive, and digests do not.
 *
 * A blob that several images share is there once. The same images give the same bytes.
 *
 * A lease keeps the blobs until save_close(). Every blob is compared with its digest
 * as it goes by. Memory: the documents, and one record an image.
 *
 * One thread at a time.
 */
#ifndef STORE_ARCHIVE_SAVE_H
#define STORE_ARCHIVE_SAVE_H

#include "store/archive/select.h"

enum save_layout { SAVE_OCI_AND_DOCKER, SAVE_OCI, SAVE_DOCKER };

/* How a layer that is compressed comes out plain: the store itself inflates nothing. */
struct save_inflater {
	/* Takes the descriptor over. */
	int (*open)(void *arg, int fd, void **ret_stream, struct err *err);
	/* The next bytes; none at the end. E_BAD_CONTENT: it is damaged. */
	int (*read)(void *stream, uint8_t *data, size_t size, size_t *ret_len, struct err *err);
	void (*close)(void *stream);
	void *arg;
};

struct save;

/* Images of the selection need not be listed, as those of a build: what leads to blobs is in the
 * store, held by the caller's lease until the archive is open. The selection is needed no more
 * afterwards. `inflater`: for SAVE_DOCKER; copied. */
int save_open(struct store *s, const struct selection *x, enum save_layout layout, const struct save_inflater *inflater,
	      struct save **ret_save, struct err *err);
void save_close(struct save *a);
void save_closep(struct save **a);

/* The next bytes, as many as fit; 0 at the end. E_CORRUPT: a blob is not what its
 * digest says, and the archive must not be used; E_NOT_FOUND: it is gone. */
int save_read(struct save *a, uint8_t *data, size_t size, size_t *ret_len, struct err *err);

#endif
