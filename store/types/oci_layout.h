/*
 * The two fixed files of an OCI image layout: `oci-layout`, which says that it is one,
 * and `index.json`, which is an index (manifest.h) whose entries may carry names.
 *
 * Ownership: results own their memory. Failure: E_BAD_CONTENT with the field's name;
 * E_UNSUPPORTED for a layout of another major version.
 */
#ifndef STORE_TYPES_OCI_LAYOUT_H
#define STORE_TYPES_OCI_LAYOUT_H

#include "store/types/manifest.h"

enum { OCI_LAYOUT_BYTES_MAX = 64 * 1024, OCI_NAME_MAX = 4096 };

/* "" where the annotation is absent; not judged here. */
struct oci_names {
	char *image_name; /* io.containerd.image.name: a whole reference */
	char *ref_name;	  /* org.opencontainers.image.ref.name: a tag, or a reference */
};

struct oci_index {
	struct index index;
	struct oci_names *names; /* one for each of index.entries */
};

/* The file `oci-layout`: version 1.x. */
int oci_layout_check(struct bytes json, struct err *err);

/* The file `index.json`, at most MANIFEST_BYTES_MAX. */
int oci_index_parse(struct bytes json, struct oci_index *ret_index, struct err *err);
void oci_index_free(struct oci_index *i); /* also the cleanup function */

#endif
