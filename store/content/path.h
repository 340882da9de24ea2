/*
 * Names of files, made of digests and of nothing else.
 */
#ifndef STORE_CONTENT_PATH_H
#define STORE_CONTENT_PATH_H

#include "store/internal.h"

enum { CONTENT_PATH_MAX = 160 };

/* Relative to content_fd: "sha256/ab/abcd…", its directory "sha256/ab", and the
 * directory of that, "sha256". */
char *content_path(const struct digest *d, char out[CONTENT_PATH_MAX]);
char *content_shard(const struct digest *d, char out[CONTENT_PATH_MAX]);
const char *content_algorithm_dir(const struct digest *d);

/* In ingest_fd: "sha256-abcd….data". serial 0: the one ingest of the digest, which
 * has a journal; else one of the private ones: "sha256-abcd….7.data". */
char *ingest_data_name(const struct digest *d, uint64_t serial, char out[CONTENT_PATH_MAX]);
char *ingest_journal_name(const struct digest *d, char out[CONTENT_PATH_MAX]);
/* False for names that are none of ours. */
bool ingest_parse_name(const char *name, struct digest *ret_digest, uint64_t *ret_serial);

/* In quarantine_fd: "sha256-abcd…". */
char *quarantine_name(const struct digest *d, char out[CONTENT_PATH_MAX]);
bool quarantine_parse_name(const char *name, struct digest *ret_digest);

#endif
