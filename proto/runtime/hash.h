/*
 * uthash, which ends the process when memory is short unless it is told not to.
 * After a HASH_ADD, HASH_ADDED() says whether the item is in the table.
 */
#ifndef PROTO_RUNTIME_HASH_H
#define PROTO_RUNTIME_HASH_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define HASH_ADDED(item) ((item)->hh.tbl != NULL)

#endif
