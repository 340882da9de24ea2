/*
 * Which images a list of arguments means, as `docker save` takes them (docker-cli.md
 * 9): a repository stands for all its tags, NAME:TAG for that name, an ID or
 * NAME@DIGEST for the image without a name.
 */
#ifndef STORE_ARCHIVE_SELECT_H
#define STORE_ARCHIVE_SELECT_H

#include "store/image/image.h"
#include "store/types/image_config.h"

/* One manifest, that several names may lead to. */
struct saved_image {
	struct digest manifest, config;
	Imaged__Store__V1__ImageRecord *record;
	/* In the order of the arguments. */
	const char **names; /* canonical */
	const char **tags;  /* the same, familiar */
	size_t n_names;
	bool listed; /* it has an entry */
};

/* A line of index.json. */
struct saved_entry {
	const char *name;   /* canonical; NULL: none */
	struct digest root; /* an index that lists the manifest, or the manifest */
	const char *root_media_type;
	int64_t root_size;
	size_t image;			      /* in images */
	const struct string_map *annotations; /* beside those that tell the name; NULL: none */
};

struct selection {
	struct arena arena; /* of everything below */
	struct saved_image *images;
	size_t n_images;
	struct saved_entry *entries;
	size_t n_entries;
	size_t capacity; /* of both */
};

enum { SELECTION_MAX = INDEX_ENTRIES_MAX /* what a load takes */, SELECTION_BYTES_MAX = 48 * 1024 * 1024 };

/* Into *x, which is empty on failure. platform: NULL for the manifests that are here.
 * E_NO_SUCH_IMAGE, E_NO_PLATFORM, E_LIMIT past SELECTION_MAX names. */
int selection_make(struct store *s, char *const *arguments, size_t n, const struct platform *platform,
		   struct selection *x, struct err *err);
void selection_free(struct selection *x); /* also the cleanup function */

#endif
