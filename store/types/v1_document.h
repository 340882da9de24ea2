/*
 * The document of a v1 image (v1_image.h) as a JSON object, its members and theirs in the
 * order of docker's structs.
 *
 * Private to store/types.
 */
#ifndef STORE_TYPES_V1_DOCUMENT_H
#define STORE_TYPES_V1_DOCUMENT_H

#include <jansson.h>

#include "store/types/image_config.h"

struct v1_head {
	const char *id, *parent; /* NULL: without */
	const char *os;		 /* likewise, or "" */
};

/* What every lower layer of an image has. NULL when memory is short. */
json_t *v1_document_of_nothing(const struct v1_head *head);
json_t *v1_document_of(const struct v1_head *head, const struct image_config *c);

/* An entry of an image's history. */
json_t *v1_history_entry(const struct image_config *c);

#endif
