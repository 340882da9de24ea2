/*
 * The image configuration (OCI image-spec, config.md, plus Docker's fields), read
 * as strictly as a manifest (E_BAD_CONTENT; a root file system of another type
 * than "layers" is E_UNSUPPORTED). Lists that may be absent keep the difference;
 * null is absent.
 */
#ifndef STORE_TYPES_IMAGE_CONFIG_H
#define STORE_TYPES_IMAGE_CONFIG_H

#include "proto/runtime/buf.h"
#include "store/types/manifest.h"

enum { IMAGE_CONFIG_LIST_MAX = 10000 }; /* entries of a list or map */

struct string_list {
	bool present;
	char **items;
	size_t n;
};

struct string_pair {
	char *key, *value;
};

struct string_map {
	bool present;
	struct string_pair *pairs; /* sorted by key */
	size_t n;
};

struct timestamp {
	bool present;
	int64_t seconds; /* since 1970, 64 bits: no year 2038 */
	int32_t nanos;
};

struct healthcheck {
	bool present;
	struct string_list test;
	int64_t interval, timeout, start_period, start_interval; /* ns */
	int64_t retries;
};

struct container_config {
	bool present;
	char *hostname, *domainname, *user, *image, *working_dir, *mac_address, *stop_signal; /* "" when absent */
	bool attach_stdin, attach_stdout, attach_stderr, tty, open_stdin, stdin_once, args_escaped, network_disabled;
	struct string_list exposed_ports, env, cmd, volumes, entrypoint, on_build, shell;
	struct string_map labels;
	struct healthcheck healthcheck;
	bool has_stop_timeout;
	int64_t stop_timeout;
};

struct history {
	struct timestamp created;
	char *created_by, *author, *comment; /* "" when absent */
	bool empty_layer;
};

struct image_config {
	struct platform platform; /* as written; parts may be "" */
	struct timestamp created;
	int32_t created_zone;				     /* in which it is written: seconds east of Greenwich */
	char *author, *comment, *docker_version, *container; /* "" when absent */
	struct container_config config, container_config;
	struct digest *diff_ids;
	size_t n_diff_ids; /* <= MANIFEST_LAYERS_MAX */
	struct history *history;
	size_t n_history;
};

int image_config_parse(struct bytes json, struct image_config *ret_config, struct err *err);
/* The same of a v1 image's document (v1_image.h), which has no layers and no history. */
int image_config_parse_v1(struct bytes json, struct image_config *ret_config, struct err *err);
void image_config_free(struct image_config *c); /* also the cleanup function */

/* As JSON with sorted keys: the same values give the same bytes, and parsing them gives
 * the same values. Strings may be NULL for "". E_INVALID when one is not UTF-8; E_LIMIT
 * past the buffer's maximum. */
int image_config_write(const struct image_config *c, struct buf *out, struct err *err);

/* Whether this configuration belongs to a manifest with that many layers:
 * E_BAD_CONTENT unless there is one diff ID for each layer and no more non-empty
 * history entries than layers. Must be called before either list indexes the
 * other. */
int image_config_check_layers(const struct image_config *c, size_t n_layers, struct err *err);

/* Chain ID of layers 0..n-1 (OCI image-spec, config.md "Layer ChainID"); an unset
 * digest when n is 0. */
struct digest chain_id(const struct digest *diff_ids, size_t n);

/* RFC 3339 with fraction (digits past the ninth are cut) and zone; years 0001..9999
 * also in UTC; no leap second. E_INVALID. */
int timestamp_parse(const char *text, struct timestamp *ret_time, struct err *err);
int timestamp_parse_zoned(const char *text, struct timestamp *ret_time, int32_t *ret_zone, struct err *err);
/* RFC 3339 in UTC, fraction without trailing zeros ("2021-10-16T01:47:45.87597179Z").
 * An absent time gives "0001-01-01T00:00:00Z". */
char *timestamp_text(const struct timestamp *t, char out[40]);
/* The same in a zone ("2021-10-16T09:47:45.87597179+08:00"). */
char *timestamp_text_zoned(const struct timestamp *t, int32_t zone, char out[40]);

#endif
