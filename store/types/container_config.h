/*
 * The `config` and `container_config` members of an image configuration. Private
 * to store/types.
 */
#ifndef STORE_TYPES_CONTAINER_CONFIG_H
#define STORE_TYPES_CONTAINER_CONFIG_H

#include "store/types/image_config.h"
#include "store/types/json.h"

/* Absent gives a config with present = false and all strings "". On failure what
 * was read so far is in *config: clear it either way. */
int container_config_read(const struct jnode *n, struct container_config *config, struct err *err);
void container_config_clear(struct container_config *config);

#endif
