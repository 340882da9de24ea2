/* The image around an imported layer. */
#include "proto/runtime/clock.h"
#include "service/image/import.h"
#include "service/image/layer_file.h"
#include "service/image/synthetic_manifest.h"

enum { TAR_BLOCK = 512 };

static const char plain_layer[] = "application/vnd.oci.image.layer.v1.tar";

/* ---- the layer -------------------------------------------------------------- */

static int find_type(struct import *m, struct err *err)
{
	CLEANUP(closep) int fd = -1;

	return ingest_reader(m->layer.ingest, &fd, err) < 0 ? err->code : layer_media_type(fd, &m->layer_type, err);
}

static int start_job(struct import *m, struct layer_job **ret_job, struct err *err)
{
	const struct import_blob *layer = &m->layer;
	CLEANUP(closep) int fd = -1;

	if (layer_workers_new(m->service->worker_program, 1, &m->workers, err) < 0 ||
	    ingest_reader(layer->ingest, &fd, err) < 0)
		return err->code;
	if (m->service->no_layers)
		return layer_job_start_whole(m->workers, take_fd(&fd), &layer->digest, layer->size, ret_job, err);
	if (layer_file_begin(m->service->store, fd, layer->size, &m->layer_image, err) < 0)
		return err->code;
	return layer_job_start_whole_image(m->workers, take_fd(&fd), layer_image_fd(m->layer_image), &layer->digest,
					   layer->size, ret_job, err);
}

static int verify_layer(struct import *m, struct err *err)
{
	CLEANUP(layer_job_freep) struct layer_job *job = NULL;

	if (m->layer.size < TAR_BLOCK && !strcmp(m->layer_type, plain_layer)) /* in docker's words */
		return fail(err, E_BAD_CONTENT, "unexpected EOF");
	if (start_job(m, &job, err) < 0 ||
	    layer_file_finish(m->service->store, job, m->layer_image, m->cancel, &m->facts, err) < 0)
		return err->code;
	/* A producer that dies between two entries, or a client that is cut off there, leaves a
	 * tar that looks whole. */
	if (!m->facts.end_mark)
		return fail(err, E_BAD_CONTENT, "the tar has no end mark: it was cut off");
	m->image.diff_ids[0] = m->facts.diff_id;
	return OK;
}

/* ---- the documents ---------------------------------------------------------- */

static int add_document(struct import *m, struct bytes data, struct import_blob *b, struct err *err)
{
	digest_of(DIGEST_SHA256, data, &b->digest);
	b->size = (int64_t)data.len;
	return ingest_bytes(m->service->store, &b->digest, data, &b->ingest, err);
}

static int make_manifest(struct import *m, struct buf *out, struct err *err)
{
	struct synthetic_layer layer = { m->layer_type, m->layer.digest, m->layer.size };

	return synthetic_manifest(&m->config.digest, m->config.size, &layer, 1, out, err);
}

/* ---- publication ------------------------------------------------------------ */

/* What is not committed here was here, and is claimed under the lease, so that it
 * stays. */
static int commit(struct import *m, struct err *err)
{
	const struct import_blob *const blobs[] = { &m->layer, &m->config, &m->manifest };
	struct digest digests[ARRAY_LEN(blobs)];
	struct ingest *ingests[ARRAY_LEN(blobs)];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(blobs); i++) {
		digests[i] = blobs[i]->digest;
		if (blobs[i]->ingest)
			ingests[n++] = blobs[i]->ingest;
	}
	if (lease_create(m->service->store, "import", digests, ARRAY_LEN(digests), &m->lease, err) < 0)
		return err->code;
	m->leased = true;
	if (n && content_commit(m->service->store, ingests, n, err) < 0)
		return err->code;
	for (size_t i = 0; i < ARRAY_LEN(blobs); i++) {
		int64_t size = 0;

		if (!blobs[i]->ingest && !content_claim(m->service->store, &digests[i], &size))
			return fail(err, E_ABORTED, "content was removed while it was being imported: import again");
	}
	return OK;
}

static int publish(struct import *m, struct bytes manifest_body, struct err *err)
{
	static const char type[] = "application/vnd.oci.image.manifest.v1+json";
	CLEANUP(manifest_free) struct manifest manifest = { .n_layers = 0 };
	struct publication publication = {
		.names = &m->ref,
		.n_names = m->named,
		.root = m->manifest.digest,
		.root_media_type = type,
		.manifest_digest = m->manifest.digest,
		.manifest_size = m->manifest.size,
		.manifest_media_type = type,
		.manifest = &manifest,
		.config = &m->image,
		.layers = &m->facts,
		.layer_images = &m->layer_image,
		.lease = &m->lease,
		.synthesized = true,
		.action = IMAGED__V1__EVENT__ACTION__ACTION_IMPORT,
		.now_ns = clock_wall_ns(),
	};
	bool changed;

	if (manifest_parse(manifest_body, &manifest, err) < 0 || cancel_check(m->cancel, err) < 0 ||
	    image_publish(m->service->store, &publication, &changed, err) < 0)
		return err->code;
	m->leased = false;
	return OK;
}

/* What others will read: the configuration as it was written, so that what it would not
 * be read for is told now. */
static int reread_config(struct import *m, struct bytes body, struct err *err)
{
	struct image_config read = { .n_history = 0 };

	if (image_config_parse(body, &read, err) < 0)
		return err->code;
	image_config_free(&m->image);
	m->image = read;
	return OK;
}

int import_image(struct import *m, struct err *err)
{
	CLEANUP(buf_free) struct buf config = BUF_INIT(CONFIG_BYTES_MAX), manifest = BUF_INIT(MANIFEST_BYTES_MAX);

	if (find_type(m, err) < 0 || verify_layer(m, err) < 0 || image_config_write(&m->image, &config, err) < 0 ||
	    reread_config(m, buf_bytes(&config), err) < 0 || add_document(m, buf_bytes(&config), &m->config, err) < 0 ||
	    make_manifest(m, &manifest, err) < 0 || add_document(m, buf_bytes(&manifest), &m->manifest, err) < 0 ||
	    commit(m, err) < 0)
		return err->code;
	return publish(m, buf_bytes(&manifest), err);
}
