/*
 * The file of a list: a header, records, and where each record is, in units of
 * CONTEXT_LIST_UNIT bytes. Numbers are the machine's: the file never leaves it. For the
 * files of this folder.
 *
 *   record: struct context_record_head, path, link, path that it is a hard link of, xattrs;
 *           padded to the unit
 */
#ifndef STORE_CONTEXTS_CONTEXT_LIST_STATE_H
#define STORE_CONTEXTS_CONTEXT_LIST_STATE_H

#include "store/contexts/context_list.h"

enum { CONTEXT_LIST_UNIT = 8, CONTEXT_LIST_VERSION = 1 };

#define CONTEXT_LIST_MAGIC UINT32_C(0x4c584349)

struct context_list_head {
	uint32_t magic, version;
	uint32_t count, n_links;
	uint64_t index_at, end; /* bytes */
	struct digest digest;
	uint8_t unused[7];
};

struct context_record_head {
	int64_t size, mtime_ns;
	uint64_t stamp, device;
	uint32_t mode;
	uint32_t same_as; /* index + 1; 0: none */
	uint16_t path_len, link_len, same_as_len, unused;
	uint32_t xattrs_len;
	uint32_t unused2;
};

_Static_assert(sizeof(struct context_list_head) % CONTEXT_LIST_UNIT == 0, "records follow the header aligned");
_Static_assert(sizeof(struct context_record_head) % CONTEXT_LIST_UNIT == 0, "no padding at its end");

struct context_list {
	struct context_file file;
	const uint8_t *map;
	size_t len;
	const struct context_list_head *head; /* in the map */
	const uint32_t *index;		      /* in the map: head->count of them */
	atomic_uint refs;
};

static inline const struct context_record_head *context_record_of(const struct context_list *l, uint32_t i)
{
	return (const void *)(l->map + (size_t)l->index[i] * CONTEXT_LIST_UNIT);
}

/* Takes the file, and maps it. E_CORRUPT when its header is not a list's. */
int context_list_new(struct context_file *file, struct context_list **ret_list, struct err *err);

/* Finds what each hard link leads to, and writes it down. E_INVALID. */
int context_list_resolve_links(struct context_list *l, struct err *err);

#endif
