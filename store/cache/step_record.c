#include "store/cache/step_state.h"
#include "store/gc/gc.h"

int step_read(struct store *s, const struct digest *first, struct arena *arena, step_record **ret_record,
	      uint64_t *ret_revision, struct err *err)
{
	struct key k = key_step(first);
	ProtobufCMessage *m;
	int r = record_get(s->local, &k, &imaged__store__v1__step_record__descriptor, arena, &m, ret_revision, err);

	if (r == OK)
		*ret_record = (step_record *)m;
	return r;
}

const char *step_media_type(const char *text)
{
	static const char *const known[] = {
		"application/vnd.oci.image.layer.v1.tar",
		"application/vnd.oci.image.layer.v1.tar+gzip",
		"application/vnd.oci.image.layer.v1.tar+zstd",
		"application/vnd.docker.image.rootfs.diff.tar",
		"application/vnd.docker.image.rootfs.diff.tar.gzip",
		"application/vnd.docker.image.rootfs.diff.tar.zstd",
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!strcmp(text, known[i]))
			return known[i];
	return NULL;
}

int step_result_of(const step_record *record, struct step_result *ret_result, struct err *err)
{
	struct step_result result = { .media_type = step_media_type(record->media_type) };
	int r = digest_from_data(record->diff_id, &result.diff_id, err);

	if (r == OK)
		r = digest_from_data(record->blob, &result.blob, err);
	if (r == OK && (!result.media_type || record->blob_size < 0))
		r = fail(err, E_CORRUPT, "the record of a step's result tells of no layer");
	if (r != OK)
		return r;
	result.blob_size = record->blob_size;
	result.created_ns = record->created_ns;
	result.facts = (struct layer_facts){
		.diff_id = result.diff_id,
		.tar_size = record->tar_size,
		.files_size = record->files_size,
		.entries = record->entries,
		.worker_version = record->worker_version,
	};
	*ret_result = result;
	return OK;
}

int step_lease_of(const step_record *record, struct lease_id *ret_lease, struct err *err)
{
	if (record->lease.len != sizeof ret_lease->bytes)
		return fail(err, E_CORRUPT, "the record of a step's result names no lease");
	memcpy(ret_lease->bytes, record->lease.data, sizeof ret_lease->bytes);
	return OK;
}

bool step_lists_key(const step_record *record, const struct digest *key)
{
	for (size_t i = 0; i < record->n_keys; i++) {
		struct digest listed;

		if (digest_from_data(record->keys[i], &listed, NULL) == OK && digest_eq(&listed, key))
			return true;
	}
	return false;
}

/* E_NOT_FOUND. */
static int read_alias(struct store *s, const struct digest *key, struct digest *ret_first, struct err *err)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(DIGEST_KEY_MAX);
	struct key k = key_step_alias(key);
	int r = meta_get(s->local, key_bytes(&k), &value, NULL, err);

	if (r == OK && !digest_from_key(buf_bytes(&value), ret_first))
		r = fail(err, E_CORRUPT, "a damaged digest in the metadata");
	return r;
}

int step_first_of(struct store *s, const struct digest *key, struct digest *ret_first, struct err *err)
{
	struct key k = key_step(key);
	uint64_t revision;
	int r = record_revision(s->local, &k, &revision, err);

	if (r == E_NOT_FOUND)
		return read_alias(s, key, ret_first, err);
	if (r == OK)
		*ret_first = *key;
	return r;
}

int step_delete_aliases(struct store *s, struct meta_txn *t, const struct digest *first, const step_record *record,
			struct err *err)
{
	for (size_t i = 0; i < record->n_keys && i < STEP_KEYS_MAX; i++) {
		struct digest key, leads_to;
		struct key alias;
		int r;

		if (digest_from_data(record->keys[i], &key, NULL) != OK)
			continue;
		r = read_alias(s, &key, &leads_to, err);
		if (r != OK && r != E_NOT_FOUND && r != E_CORRUPT)
			return r;
		if (r == E_NOT_FOUND || (r == OK && !digest_eq(&leads_to, first)))
			continue;
		alias = key_step_alias(&key);
		meta_txn_delete(t, key_bytes(&alias));
	}
	return OK;
}

int step_let_go(struct store *s, const struct step_old *olds, size_t n, int64_t *freed, struct err *err)
{
	CLEANUP(freep) struct lease_id *leases = calloc(n + 1, sizeof *leases);
	CLEANUP(freep) struct digest *blobs = calloc(n + 1, sizeof *blobs);
	int64_t some = 0;
	int r;

	if (!n)
		return OK;
	if (!leases || !blobs)
		return fail_nomem(err);
	for (size_t i = 0; i < n; i++) {
		leases[i] = olds[i].lease;
		blobs[i] = olds[i].blob;
	}
	r = leases_release(s, leases, n, err);
	if (r == OK)
		r = gc_blobs(s, blobs, n, &some, err);
	*freed += some;
	return r;
}
