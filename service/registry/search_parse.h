/*
 * What indexes and the Hub API answer, as results. The bytes are hostile: counted,
 * bounded, and members that are missing or of another type than expected are passed
 * over; a result without a name that could be one is left out. Pure.
 */
#ifndef SERVICE_REGISTRY_SEARCH_PARSE_H
#define SERVICE_REGISTRY_SEARCH_PARSE_H

#include "service/registry/search.h"

/* {"results": [{"name", "description", "star_count", "is_official", "is_automated",
 * "pull_count"}]}. Adds at most `limit` results. E_BAD_CONTENT as registry_search(). */
int search_parse_index(struct bytes json, size_t limit, struct search_results *out, struct err *err);

/* The same of the Hub API, whose shape is not documented: names under "slug", "name" or
 * "repo_name", descriptions and counts under several names too. E_BAD_CONTENT also when
 * there is no list of results in it. */
int search_parse_hub(struct bytes json, size_t limit, struct search_results *out, struct err *err);

/* Adds a result; takes over neither text. */
int search_add(struct search_results *out, const struct search_result *result, struct err *err);

#endif
