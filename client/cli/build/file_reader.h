/*
 * The bytes of a listing's files, as pieces that are ready to be sent: small files together,
 * large ones in parts. A thread of its own reads ahead, a few batches at most.
 *
 * A file that is not the one of the list any more, before or after it was read, or that
 * cannot be read, ends in a piece that says so; it is never sent short.
 *
 *	file_reader_start(&r, listing, files, n, &err);
 *	while ((b = file_reader_next(&r)))
 *		send(b->pieces, b->n);
 *	file_reader_end(&r);
 *
 * One thread takes; what next() gave is valid until the next call. end() may come early.
 */
#ifndef CLIENT_CLI_BUILD_FILE_READER_H
#define CLIENT_CLI_BUILD_FILE_READER_H

#include <pthread.h>

#include "client/cli/build/listing.h"
#include "imaged/v1/build.pb-c.h"

enum {
	READER_BATCHES = 4,
	READER_BATCH_BYTES = 512 * 1024,
	READER_BATCH_PIECES = 256, /* as ContextData says */
};

struct file_batch {
	Imaged__V1__FilePiece pieces[READER_BATCH_PIECES];
	Imaged__V1__FilePiece *pointers[READER_BATCH_PIECES];
	size_t n, used;	     /* pieces, bytes */
	struct arena memory; /* of xattrs and texts */
	uint8_t bytes[READER_BATCH_BYTES];
};

struct file_reader {
	const struct listing *listing;
	uint32_t *files;
	size_t n;
	pthread_t thread;
	bool running;

	pthread_mutex_t mu; /* guards the rest */
	pthread_cond_t changed;
	struct file_batch *batches; /* a ring */
	size_t filled, taken;	    /* how many there have been; the one taken last is in use */
	bool over, stopped;
};

/* Copies `files`, which are indices of regular files. On failure there is nothing to end. */
int file_reader_start(struct file_reader *r, const struct listing *listing, const uint32_t *files, size_t n,
		      struct err *err);
const struct file_batch *file_reader_next(struct file_reader *r); /* NULL at the end */
void file_reader_end(struct file_reader *r);

#endif
