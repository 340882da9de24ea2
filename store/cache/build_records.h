/*
 * Records of builds, beside their logs: for the files of this folder.
 */
#ifndef STORE_CACHE_BUILD_RECORDS_H
#define STORE_CACHE_BUILD_RECORDS_H

#include "store/cache/build_log.h"

/* Notes that this run of the store wrote it. */
int build_record_write(struct store *s, const Imaged__Store__V1__BuildRecord *record, struct err *err);
bool build_id_is_valid(const char *id);
/* Removes the oldest of those that do not run beyond `max`, and logs without a record. */
void build_records_trim(struct store *s, size_t max);

#endif
