/*
 * Manifests, indexes and image configurations, read strictly from hostile bytes
 * (OCI image-spec 1.1; Docker image manifest v2 schema 2; registry-cri.md 1.4,
 * 5.2): duplicate keys, trailing data, depth over 32, NUL in strings, wrong
 * types, `layers` beside `manifests`, media types that disagree, sizes and counts
 * past the limits are all E_BAD_CONTENT with a message that names the field;
 * Docker schema 1 and encrypted layers are E_UNSUPPORTED. The bytes themselves
 * are kept by the caller: nothing here is written back.
 *
 * Ownership: results own their memory; free with the function beside them.
 */
#ifndef STORE_TYPES_MANIFEST_H
#define STORE_TYPES_MANIFEST_H

#include "store/types/digest.h"
#include "store/types/platform.h"

enum {
	MANIFEST_BYTES_MAX = 4 * 1024 * 1024,
	CONFIG_BYTES_MAX = 4 * 1024 * 1024,
	MANIFEST_LAYERS_MAX = 500,
	INDEX_ENTRIES_MAX = 10000,
	INDEX_DEPTH_MAX = 8,
	MEDIA_TYPE_MAX = 256,
	DESCRIPTOR_URLS_MAX = 16,
};

enum media_kind {
	MEDIA_UNKNOWN,
	MEDIA_OCI_MANIFEST,
	MEDIA_OCI_INDEX,
	MEDIA_DOCKER_MANIFEST,
	MEDIA_DOCKER_LIST,
	MEDIA_DOCKER_SCHEMA1, /* and prettyjws */
	MEDIA_CONFIG,	      /* OCI or Docker image configuration */
	MEDIA_LAYER,	      /* a tar, see `compression` */
	MEDIA_LAYER_FOREIGN,  /* nondistributable or foreign */
	MEDIA_LAYER_ENCRYPTED,
};

enum compression { COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_ZSTD };

struct media_type {
	enum media_kind kind;
	enum compression compression; /* of layers */
};

/* Parameters after ';' are ignored, case too. */
struct media_type media_type_of(const char *text);
bool media_is_index(enum media_kind kind);
/* The media type of a manifest or an index. */
const char *media_kind_name(enum media_kind kind);
bool media_is_manifest(enum media_kind kind);

struct descriptor {
	char *media_type; /* never NULL, may be "" */
	struct media_type type;
	struct digest digest;
	int64_t size;		  /* >= 0 */
	struct platform platform; /* as written */
	bool has_platform;	  /* it names a system or an architecture */
	bool attestation;	  /* annotation vnd.docker.reference.type = attestation-manifest */
	struct bytes data;	  /* claimed to be the content; data NULL: nothing is embedded */
	char **urls;		  /* where else the content is; of any scheme */
	size_t n_urls;		  /* <= DESCRIPTOR_URLS_MAX */
};

/* Whether what is embedded is what size and digest say: E_BAD_CONTENT when not. To be
 * asked by whoever takes it in place of the content. */
int descriptor_check_data(const struct descriptor *d, struct err *err);

struct manifest {
	enum media_kind kind; /* MEDIA_OCI_MANIFEST or MEDIA_DOCKER_MANIFEST */
	char *artifact_type;  /* never NULL, may be "" */
	struct descriptor config;
	struct descriptor *layers;
	size_t n_layers; /* <= MANIFEST_LAYERS_MAX; all sizes add up within an int64_t */
	bool is_image;	 /* the config is an image configuration, not an artifact */
};

struct index {
	enum media_kind kind;
	struct descriptor *entries;
	size_t n_entries; /* <= INDEX_ENTRIES_MAX */
};

/* What a document is: by its `mediaType`, else by its fields, and in agreement
 * with `content_type` (NULL or "" when none was given; general types like text/plain
 * claim nothing). E_UNSUPPORTED for Docker schema 1 and for unknown types. */
int document_kind(struct bytes json, const char *content_type, enum media_kind *ret_kind, struct err *err);

/* What a manifest or an index refers to; unset when it refers to nothing. */
int document_subject(struct bytes json, struct digest *ret_subject, struct err *err);

int manifest_parse(struct bytes json, struct manifest *ret_manifest, struct err *err);
/* For those who carry content and do not look into it: any type of layer will do. */
int manifest_parse_any(struct bytes json, struct manifest *ret_manifest, struct err *err);
void manifest_free(struct manifest *m); /* also the cleanup function */

int index_parse(struct bytes json, struct index *ret_index, struct err *err);
void index_free(struct index *i);

/* The entry for a platform; ties go to the first. E_NO_PLATFORM lists what is
 * offered. Attestations and entries of unknown platform are not considered, except
 * that an index with one manifest and no platform is taken as it is. */
int index_choose(const struct index *i, const struct platform *wanted, const struct descriptor **ret_entry,
		 struct err *err);

#endif
