/* ExportTree: what a mount of an image would show, as the bytes of one tar. */
#include "service/image/image_service.h"
#include "service/image/layer_files.h"
#include "service/tree/tree_tar.h"
#include "store/record.h"

enum { PIECE_BYTES = 256 * 1024, IMAGE_BYTES_MAX = 16 * 1024 * 1024 };

/* The image while it is read: removing it meanwhile takes its names only. */
struct held {
	struct store *store;
	struct arena arena;
	struct image image;
	struct lease_id lease;
	bool leased;
	struct digest *diff_ids; /* lowest first, one for each layer */
	int *fds;		 /* n_fds of them opened */
	size_t n_fds;
};

static void release(struct held *h)
{
	for (size_t i = 0; i < h->n_fds; i++)
		close(h->fds[i]);
	free(h->fds);
	free(h->diff_ids);
	if (h->leased)
		lease_release(h->store, &h->lease, NULL);
	arena_free(&h->arena);
}

/* A store that cannot be written to still gives out what it has, as with save. */
static int take_lease(struct held *h, const struct digest *blobs, size_t n, struct err *err)
{
	int r;

	if (store_read_only(h->store))
		return OK;
	r = lease_create(h->store, "export", blobs, n, &h->lease, err);
	h->leased = r == OK;
	return r == E_DISK_FULL ? OK : r;
}

static int hold_blobs(struct held *h, struct err *err)
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
	return r == OK ? take_lease(h, blobs, n + 1, err) : r;
}

static int hold(struct held *h, const char *name, struct err *err)
{
	bool by_id;
	int r = image_resolve(h->store, name, &h->arena, &h->image, &by_id, err);

	if (r == OK)
		r = hold_blobs(h, err);
	if (r == OK && !image_is_listed(h->store, &h->image.manifest))
		return fail(err, E_ABORTED, "image %s was removed while its export began", name);
	return r;
}

static int open_layers(struct held *h, struct layer_files *files, struct cancel *cancel, struct err *err)
{
	struct layer_image_facts facts;
	size_t n = h->image.record->n_layers;
	int r = OK;

	h->fds = calloc(n + 1, sizeof *h->fds);
	if (!h->fds)
		return fail_nomem(err);
	while (r == OK && h->n_fds < n) {
		r = layer_files_open(files, &h->diff_ids[h->n_fds], cancel, &h->fds[h->n_fds], &facts, err);
		h->n_fds += r == OK;
	}
	return r;
}

static int open_archive(struct held *h, struct cancel *cancel, struct tree_tar **ret_tar, struct err *err)
{
	size_t n = TAKE(h->n_fds); /* the tree's from now on */
	struct tree *tree;
	int r = tree_open(h->fds, n, cancel, &tree, err);

	return r == OK ? tree_tar_new(tree, ret_tar, err) : r;
}

static int send_all(struct rpc_call *call, struct tree_tar *archive, struct err *err)
{
	CLEANUP(freep) uint8_t *piece = malloc(PIECE_BYTES);
	Imaged__V1__ExportTreeResponse response = IMAGED__V1__EXPORT_TREE_RESPONSE__INIT;
	int r = OK;

	if (!piece)
		return fail_nomem(err);
	response.data.data = piece;
	do {
		r = tree_tar_read(archive, piece, PIECE_BYTES, &response.data.len, err);
		if (r == OK && response.data.len)
			r = imaged__v1__image_service__export_tree_send(call, &response, err);
	} while (r == OK && response.data.len);
	return r;
}

static int export(struct image_service *service, struct rpc_call *call, const char *name, struct err *err)
{
	CLEANUP(release) struct held h = { .store = service->store };
	CLEANUP(tree_tar_freep) struct tree_tar *archive = NULL;
	struct cancel *cancel = rpc_call_cancel(call);
	int r;

	arena_init(&h.arena, IMAGE_BYTES_MAX);
	r = hold(&h, name, err);
	if (r == OK)
		r = open_layers(&h, service->layer_files, cancel, err);
	if (r == OK)
		r = open_archive(&h, cancel, &archive, err);
	return r == OK ? send_all(call, archive, err) : r;
}

int export_tree(void *self, struct rpc_call *call, const Imaged__V1__ExportTreeRequest *request, struct err *err)
{
	struct image_service *service = self;
	int r;

	if (admission_enter(&service->saves, SAVES_MAX, "images are being saved or exported", err) < 0)
		return err->code;
	r = export(service, call, request->image, err);
	admission_leave(&service->saves);
	return r;
}
