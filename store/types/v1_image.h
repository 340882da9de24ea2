/*
 * Images of Docker's first format (docker-cli.md 9.1): a layer and its JSON document each,
 * linked by the ID of the parent. Docker up to version 24 saves every layer of an image as
 * one, and loads what Docker 1 saved. IDs are made of documents, so that their bytes
 * are those that docker makes.
 *
 * Pure functions. Errors of what is read: E_BAD_CONTENT, E_UNSUPPORTED.
 */
#ifndef STORE_TYPES_V1_IMAGE_H
#define STORE_TYPES_V1_IMAGE_H

#include "store/types/image_config.h"

enum { V1_NAME_MAX = 255, V1_JSON_BYTES_MAX = 2 * CONFIG_BYTES_MAX /* what is escaped grows */ };

/* ---- saving: layer n of an image ------------------------------------------------ */

struct v1_layer {
	const struct image_config *config; /* of the image; only its top layer has more of it than the os */
	size_t number;			   /* from 0, < config->n_diff_ids */
	struct digest chain;		   /* chain_id() of the layers up to this one */
	struct digest parent;		   /* ID of the layer below; unset: this is the lowest */
};

int v1_layer_id(const struct v1_layer *l, struct digest *ret_id, struct err *err);
int v1_layer_write(const struct v1_layer *l, const struct digest *id, struct buf *out, struct err *err);

/* ---- loading -------------------------------------------------------------------- */

/* What a document says of its place. The rest of it is for v1_config_write(). */
struct v1_image {
	char parent[V1_NAME_MAX + 1]; /* name of a directory; "": none */
	char os[PLATFORM_PART_MAX];   /* "": linux */
};

int v1_image_parse(struct bytes json, struct v1_image *ret_image, struct err *err);

/* The configuration of the image whose top is this document: `below` is that of its parent (NULL: it
 * has none), whose layers and history the result has, and one more. `diff_id`: of its own layer. */
int v1_config_write(struct bytes json, struct bytes below, const struct digest *diff_id, struct buf *out,
		    struct err *err);

/* The file "repositories": {"NAME": {"TAG": "ID"}}, sorted. Names are judged by the caller. */
struct v1_tag {
	char *name; /* "NAME:TAG" */
	char *id;
};

struct v1_tags {
	struct v1_tag *items;
	size_t n; /* <= V1_TAGS_MAX */
};

enum { V1_TAGS_MAX = 10000, V1_TAGS_BYTES_MAX = 8 * 1024 * 1024 };

int v1_tags_parse(struct bytes json, struct v1_tags *ret_tags, struct err *err);
void v1_tags_free(struct v1_tags *t); /* also the cleanup function */

#endif
