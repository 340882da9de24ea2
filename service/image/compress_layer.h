/*
 * A plain layer as gzip, by ISA-L: one member, no name and no time in its header, fixed
 * parameters and pieces of fixed size, so that the same tar gives the same bytes (on one
 * kind of processor: ISA-L looks for matches in other ways on others). The tar is compared
 * with its digest as it goes by.
 */
#ifndef SERVICE_IMAGE_COMPRESS_LAYER_H
#define SERVICE_IMAGE_COMPRESS_LAYER_H

#include "store/content/ingest.h"

/* All of `fd`, of which the digest is known. The ingest is finished, not yet committed;
 * the caller unrefs it. E_CORRUPT: the bytes are not those of the digest. */
int compress_layer(struct store *s, int fd, const struct digest *tar, struct cancel *cancel, struct ingest **ret_ingest,
		   struct digest *ret_digest, struct err *err);

#endif
