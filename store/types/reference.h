/*
 * Image references: docker's grammar and normalisation (the rules of
 * distribution/reference; docker-cli.md 1.4). A parsed reference is canonical:
 * domain and path are explicit, "docker.io" and "library/" filled in. Pure values.
 */
#ifndef STORE_TYPES_REFERENCE_H
#define STORE_TYPES_REFERENCE_H

#include "store/types/digest.h"

enum {
	REFERENCE_PATH_MAX = 255, /* docker's limit */
	REFERENCE_NAME_MAX = 296, /* of domain/path together, so that a key fits */
	REFERENCE_TAG_MAX = 128,
	REFERENCE_TEXT_MAX = REFERENCE_NAME_MAX + 1 + REFERENCE_TAG_MAX + 1 + DIGEST_TEXT_MAX + 1,
};

struct reference {
	char domain[REFERENCE_NAME_MAX + 1]; /* "docker.io", "127.0.0.1:5000"; may be "" (docker's quirk) */
	char path[REFERENCE_PATH_MAX + 1];   /* "library/busybox" */
	char tag[REFERENCE_TAG_MAX + 1];     /* "" when there is none */
	struct digest digest;		     /* unset when there is none */
};

/* E_INVALID_REFERENCE with docker's messages (C28). Adds no tag. */
int reference_parse(const char *text, struct reference *ret_ref, struct err *err);

/* "latest" when there is neither tag nor digest. True when it added it. */
bool reference_default_tag(struct reference *ref);

/* Canonical text: domain/path[:tag][@digest]. */
char *reference_text(const struct reference *ref, char out[REFERENCE_TEXT_MAX]);
/* What users see: without "docker.io/" and, then, without "library/". */
char *reference_familiar(const struct reference *ref, char out[REFERENCE_TEXT_MAX]);
/* The same two without tag and digest. */
char *reference_name(const struct reference *ref, char out[REFERENCE_TEXT_MAX]);
char *reference_familiar_name(const struct reference *ref, char out[REFERENCE_TEXT_MAX]);

/* Go's path.Match over the familiar name, and over the familiar name with tag,
 * as docker's reference filter. E_INVALID_FILTER when the pattern is malformed. */
int reference_match(const struct reference *ref, const char *pattern, bool *ret_match, struct err *err);

/* True when the text can be an ID or a prefix of one: 1..64 lower-case hex
 * digits, optionally after "sha256:". */
bool reference_is_id_prefix(const char *text);

/* Words of a reference that come alone, as registries list them. */
bool reference_is_tag(const char *text);
bool reference_is_path(const char *text);

#endif
