/*
 * What an operation does, as a digest: fields with their lengths, so that no two lists of
 * fields are the same bytes. GRAPH_VERSION changes with the encoding. Private to graph*.c.
 */
#ifndef SERVICE_BUILD_GRAPH_DIGEST_H
#define SERVICE_BUILD_GRAPH_DIGEST_H

#include "service/build/graph.h"

enum { GRAPH_VERSION = 1 };

struct digest digest_of_image(const char *name, const char *platform, const struct digest *found);
struct digest digest_of_context(const char *name);
struct digest digest_of_source(const struct copy_source *s, const struct copy_step *copy);
struct digest digest_of_copy(const struct copy_step *s, const struct graph_options *o);
struct digest digest_of_merge(void);
struct digest digest_of_scratch(void);
struct digest digest_of_run(const struct step *s, const char *platform, const struct graph_options *o);
struct digest digest_of_directory(const struct step *s, const struct graph_options *o);

#endif
