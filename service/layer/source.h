/*
 * The worker's input: the content file of one layer while the daemon still writes
 * it, and the daemon's messages about it.
 *
 * Only the bytes that were announced are read: past them the file may be
 * preallocated, or written out of order. Between two pieces the socket is looked
 * at, so that a CANCEL or the daemon's end is seen soon.
 *
 * One thread. Blocks only in source_read().
 */
#ifndef SERVICE_LAYER_SOURCE_H
#define SERVICE_LAYER_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "service/layer/protocol.h"
#include "store/types/manifest.h"

struct source {
	int socket;
	int fd;	    /* of the layer; -1: none */
	int stream; /* where its tar goes too; -1: nowhere */
	uint32_t layer;
	uint64_t offset;       /* bytes read, <= available */
	uint64_t available;    /* bytes announced */
	bool ended;	       /* available is all there will be */
	enum compression hint; /* of the media type */
	bool counts_only;
	struct layer_limits limits;
};

/* Waits for the next BEGIN; a CANCEL that comes instead is answered (it crossed with
 * a RESULT). E_UNAVAILABLE: the daemon has closed; E_WORKER: it speaks nonsense. */
int source_begin(struct source *s, struct err *err);
void source_end(struct source *s); /* closes file and stream; the socket stays */

/* True when source_read() would not wait. */
bool source_ready(const struct source *s);

/* Up to `size` bytes; 0 at the end of the file. E_CANCELLED after CANCEL,
 * E_UNAVAILABLE when the daemon has closed, E_WORKER for nonsense, E_IO. */
int source_read(struct source *s, uint8_t *data, size_t size, size_t *ret_len, struct err *err);

#endif
