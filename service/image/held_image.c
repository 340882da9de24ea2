#include "service/image/held_image.h"

#include "store/record.h"

enum { IMAGE_BYTES_MAX = 16 * 1024 * 1024 };

void held_image_release(struct held_image *h)
{
	free(h->diff_ids);
	if (h->leased)
		lease_release(h->store, &h->lease, NULL);
	arena_free(&h->arena);
}

static int take_lease(struct held_image *h, const char *what, const struct digest *blobs, size_t n, struct err *err)
{
	int r;

	if (store_read_only(h->store))
		return OK;
	r = lease_create(h->store, what, blobs, n, &h->lease, err);
	h->leased = r == OK;
	return r == E_DISK_FULL ? OK : r;
}

static int hold_blobs(struct held_image *h, const char *what, struct err *err)
{
	const Imaged__Store__V1__ImageRecord *record = h->image.record;
	size_t n = record->n_layers;
	CLEANUP(freep) struct digest *blobs = calloc(n + 1, sizeof *blobs);
	int r = OK;

	h->diff_ids = calloc(n + 1, sizeof *h->diff_ids);
	if (!blobs || !h->diff_ids)
		return fail_nomem(err);
	for (size_t i = 0; r == OK && i < n; i++) {
		r = digest_from_data(record->layers[i]->digest, &blobs[i], err);
		if (r == OK)
			r = digest_from_data(record->layers[i]->diff_id, &h->diff_ids[i], err);
	}
	blobs[n] = h->image.manifest;
	return r == OK ? take_lease(h, what, blobs, n + 1, err) : r;
}

int held_image_open(struct store *s, const char *name, const char *what, struct held_image *h, struct err *err)
{
	bool by_id;
	int r;

	h->store = s;
	arena_init(&h->arena, IMAGE_BYTES_MAX);
	r = image_resolve(s, name, &h->arena, &h->image, &by_id, err);
	if (r == OK)
		r = hold_blobs(h, what, err);
	if (r == OK && !image_is_listed(s, &h->image.manifest))
		return fail(err, E_ABORTED, "image %s was removed while its %s began", name, what);
	return r;
}

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

int held_image_tree(const struct held_image *h, struct layer_files *files, struct cancel *cancel,
		    struct tree **ret_tree, struct err *err)
{
	size_t n = h->image.record->n_layers, opened = 0;
	CLEANUP(freep) int *fds = calloc(n + 1, sizeof *fds);
	struct layer_image_facts facts;
	int r = OK;

	if (!fds)
		return fail_nomem(err);
	while (r == OK && opened < n) {
		r = layer_files_open(files, &h->diff_ids[opened], cancel, &fds[opened], &facts, err);
		opened += r == OK;
	}
	if (r == OK)
		return tree_open(fds, n, cancel, ret_tree, err); /* which takes them */
	close_all(fds, opened);
	return r;
}
