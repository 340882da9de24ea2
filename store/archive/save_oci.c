/* The layout that keeps everything: manifests, indexes, configurations and layers are the
 * bytes that the store holds. The documents come first, so that a reader of the stream knows
 * what follows. */
#include "store/archive/save_members.h"
#include "store/record.h"
#include "store/types/docker_archive.h"

enum { DIRECTORY_MODE = 0755, DOCUMENT_MODE = 0644, BLOB_MODE = 0444 };

static int add_blob(struct save *a, const struct digest *d, int64_t size, struct err *err)
{
	char name[TAR_NAME_MAX];

	return save_add_blob(a, blob_member_name(d, name), BLOB_MODE, d, size, NULL, err);
}

/* ---- documents ----------------------------------------------------------------- */

static int layout_document(const void *selection UNUSED, struct buf *out, struct err *err)
{
	return buf_puts(out, OCI_LAYOUT_TEXT) ? OK : fail_nomem(err);
}

static int index_of(const void *selection, struct buf *out, struct err *err)
{
	return index_document(selection, out, err);
}

static int manifest_of(const void *selection, struct buf *out, struct err *err)
{
	return manifest_document(selection, out, err);
}

static int repositories_of(const void *selection, struct buf *out, struct err *err)
{
	return repositories_document(selection, out, err);
}

static int add_documents(struct save *a, const struct selection *x, bool docker, struct err *err)
{
	static const struct {
		const char *name;
		save_document_fn *make;
		size_t bytes_max; /* what a load takes */
		bool of_docker;
	} documents[] = {
		{ "oci-layout", layout_document, MANIFEST_BYTES_MAX, false },
		{ "index.json", index_of, MANIFEST_BYTES_MAX, false },
		{ "manifest.json", manifest_of, DOCKER_ARCHIVE_BYTES_MAX, true },
		{ "repositories", repositories_of, DOCKER_ARCHIVE_BYTES_MAX, true },
	};
	int r = OK;

	for (size_t i = 0; r == OK && i < ARRAY_LEN(documents); i++)
		if (docker || !documents[i].of_docker)
			r = save_add_document(a, documents[i].name, DOCUMENT_MODE, documents[i].bytes_max,
					      documents[i].make, x, err);
	return r;
}

/* ---- blobs --------------------------------------------------------------------- */

static int add_directories(struct save *a, const struct selection *x, struct err *err)
{
	static const char *const algorithms[] = { "blobs/sha256/", "blobs/sha512/" };
	bool used[ARRAY_LEN(algorithms)] = { true, false };

	for (size_t i = 0; i < x->n_entries; i++)
		used[1] = used[1] || x->entries[i].root.algorithm == DIGEST_SHA512;
	if (!save_add(a, "blobs/", DIRECTORY_MODE, 0))
		return fail_nomem(err);
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++)
		if (used[i] && !save_add(a, algorithms[i], DIRECTORY_MODE, 0))
			return fail_nomem(err);
	return OK;
}

static int add_image_blobs(struct save *a, const struct saved_image *image, struct err *err)
{
	int r = add_blob(a, &image->manifest, image->record->manifest_size, err);

	return r == OK ? add_blob(a, &image->config, image->record->config_size, err) : r;
}

/* What a reader needs to understand the rest. */
static int add_json_blobs(struct save *a, const struct selection *x, struct err *err)
{
	int r = OK;

	for (size_t i = 0; r == OK && i < x->n_entries; i++) {
		const struct saved_entry *e = &x->entries[i];
		const struct saved_image *image = &x->images[e->image];

		r = add_blob(a, &e->root, e->root_size, err);
		if (r == OK)
			r = add_image_blobs(a, image, err);
	}
	for (size_t i = 0; r == OK && i < x->n_images; i++)
		r = add_image_blobs(a, &x->images[i], err);
	return r;
}

static int add_layers(struct save *a, const struct selection *x, struct err *err)
{
	for (size_t i = 0; i < x->n_images; i++) {
		const Imaged__Store__V1__ImageRecord *record = x->images[i].record;

		for (size_t k = 0; k < record->n_layers; k++) {
			struct digest d;
			int r = digest_from_data(record->layers[k]->digest, &d, err);

			if (r == OK)
				r = add_blob(a, &d, record->layers[k]->size, err);
			if (r != OK)
				return r;
		}
	}
	return OK;
}

int save_plan_oci(struct save *a, const struct selection *x, bool docker, struct err *err)
{
	int r = add_documents(a, x, docker, err);

	if (r == OK)
		r = add_directories(a, x, err);
	if (r == OK)
		r = add_json_blobs(a, x, err);
	return r == OK ? add_layers(a, x, err) : r;
}
