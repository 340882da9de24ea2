/*
 * A blob of a repository as a stream, for those who pass it on and keep nothing of it:
 * memory is bounded, interruptions are gone on from by Range, and each byte is hashed as
 * it goes by.
 *
 * The last bytes are handed out only when size and digest of all were right, so whoever
 * counts to the size ends with the blob or not at all. A reader may go back (an upload
 * that broke off does): what is read again is hashed again, from the nearest state of the
 * hash that was kept.
 *
 * One thread at a time.
 */
#ifndef SERVICE_REGISTRY_BLOB_READER_H
#define SERVICE_REGISTRY_BLOB_READER_H

#include "service/registry/registry.h"

struct blob_reader;

/* Asks nothing yet. The descriptor must outlive the reader. */
int blob_reader_new(struct repository *r, const struct descriptor *d, struct cancel *cancel,
		    struct blob_reader **ret_reader, struct err *err);
void blob_reader_free(struct blob_reader *b);
void blob_reader_freep(struct blob_reader **b);

/* 1 to `size` of the bytes from `offset` on, which is below the blob's size; `reader` is a
 * struct blob_reader. E_NOT_FOUND, E_DENIED; E_REGISTRY when it breaks off again and
 * again; E_BAD_CONTENT for another size; E_DIGEST_MISMATCH. */
int blob_reader_read(void *reader, int64_t offset, uint8_t *data, size_t size, size_t *ret_len, struct err *err);
/* After E_DIGEST_MISMATCH: a mirror sent of those bytes, is not asked for them again, and
 * there is another host. Then it is worth to read it all once more, from 0. */
bool blob_reader_has_another(struct blob_reader *b);

#endif
