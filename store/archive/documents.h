/*
 * The documents of an archive that is an OCI layout (image-spec, image-layout.md) and
 * a docker-archive (docker-cli.md 9) at once. Compact JSON, keys in a fixed order: the
 * same selection gives the same bytes.
 */
#ifndef STORE_ARCHIVE_DOCUMENTS_H
#define STORE_ARCHIVE_DOCUMENTS_H

#include "store/archive/select.h"
#include "store/archive/tar_member.h"

#define OCI_LAYOUT_TEXT "{\"imageLayoutVersion\":\"1.0.0\"}"

/* "blobs/sha256/HEX" */
char *blob_member_name(const struct digest *d, char out[TAR_NAME_MAX]);

/* One descriptor a name, with the annotations that containerd and docker read. */
int index_document(const struct selection *x, struct buf *out, struct err *err);
/* manifest.json: one entry an image. */
int manifest_document(const struct selection *x, struct buf *out, struct err *err);
/* repositories: nothing in `out` when no image has a name. */
int repositories_document(const struct selection *x, struct buf *out, struct err *err);

#endif
