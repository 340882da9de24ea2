/*
 * What a build was made of and how, as in-toto's SLSA provenance 0.2 in the least form that
 * BuildKit gives it: images with the digests of their manifests, options, no values of
 * arguments or labels. For --metadata-file. Inside of this folder.
 */
#ifndef SERVICE_BUILD_SESSION_PROVENANCE_H
#define SERVICE_BUILD_SESSION_PROVENANCE_H

#include "service/build/session/front_end.h"

/* JSON. Of a build that has succeeded. Free it. */
int provenance_make(const struct front_end *fronts, size_t n, char **ret_json, struct err *err);

#endif
