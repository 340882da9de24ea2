/*
 * The words of a reference, each matched as a whole (docker-cli.md 1.4):
 * one-pass scanners in the place of docker's regular expressions. Private to
 * store/types. Pure, no allocation, any bytes.
 */
#ifndef STORE_TYPES_REFERENCE_GRAMMAR_H
#define STORE_TYPES_REFERENCE_GRAMMAR_H

#include "proto/runtime/mem.h"

/* A host with an optional port: dotted names, or "[" IPv6 digits "]". */
bool grammar_domain(struct bytes b);

/* Path components with slashes between them. */
bool grammar_path(struct bytes b);
/* The same, if it were in lower case. */
bool grammar_path_any_case(struct bytes b);

bool grammar_tag(struct bytes b);

/* algorithm ":" at least 32 hex digits of any case. What the algorithm itself
 * demands is digest_parse's to say. */
bool grammar_digest(struct bytes b);

#endif
