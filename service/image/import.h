/*
 * One import, in steps:
 *
 *   start     import.c         reference, platform and changes, before any data
 *   layer     import.c         the tar, from the client or from a URL, becomes content;
 *                              gzip and zstd as they come, xz and bzip2 inflated
 *   image     import_image.c   the layer through the worker, configuration, manifest,
 *                              publication
 *
 * Nothing is committed before the worker has found the layer sound; what a failure
 * leaves committed is collected.
 *
 * All of it runs on the thread of the call.
 */
#ifndef SERVICE_IMAGE_IMPORT_H
#define SERVICE_IMAGE_IMPORT_H

#include "service/image/archive_source.h"
#include "service/image/image_service.h"

struct import_blob {
	struct digest digest;
	int64_t size;
	struct ingest *ingest; /* NULL: it is here already */
};

struct import {
	struct image_service *service;
	struct rpc_call *call;
	struct cancel *cancel;

	struct reference ref;
	bool named;
	struct image_config image; /* being made */

	struct archive_source source;
	struct http_exchange *download; /* NULL: the client sends the data */
	int64_t downloaded, told, told_at_ms;

	struct import_blob layer, config, manifest;
	const char *layer_type; /* media type */
	struct layer_facts facts;
	struct layer_image *layer_image;
	struct layer_workers *workers;
	struct lease_id lease;
	bool leased;
};

/* The layer is here, and finished: makes the image of it. */
int import_image(struct import *m, struct err *err);

#endif
