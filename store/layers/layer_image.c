#include "store/layers/layer_image.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "store/layers/layer_image_state.h"
#include "store/record.h"

/* ---- names --------------------------------------------------------------------- */

char *layer_image_path(const struct digest *diff_id, uint32_t version, char out[LAYER_PATH_MAX])
{
	char hex[DIGEST_TEXT_MAX];

	digest_hex(diff_id, hex);
	snprintf(out, LAYER_PATH_MAX, "%s/%.2s/%s.%u", digest_algorithm_name((enum digest_algorithm)diff_id->algorithm),
		 hex, hex, version);
	return out;
}

char *layer_image_shard(const struct digest *diff_id, char out[LAYER_PATH_MAX])
{
	snprintf(out, LAYER_PATH_MAX, "%s/%02x", digest_algorithm_name((enum digest_algorithm)diff_id->algorithm),
		 diff_id->bytes[0]);
	return out;
}

bool layer_image_parse(const char *algorithm, const char *name, struct digest *ret_diff_id, uint32_t *ret_version)
{
	const char *dot = strchr(name, '.');
	char text[LAYER_PATH_MAX], *end;
	unsigned long version;

	if (!dot || strlen(name) + strlen(algorithm) + 2 > sizeof text || dot[1] < '1' || dot[1] > '9')
		return false;
	errno = 0;
	version = strtoul(dot + 1, &end, 10);
	if (*end || errno || version > UINT32_MAX)
		return false;
	snprintf(text, sizeof text, "%s:%.*s", algorithm, (int)(dot - name), name);
	*ret_version = (uint32_t)version;
	return digest_parse(text, ret_diff_id, NULL) == OK;
}

/* ---- on their way in -------------------------------------------------------------- */

char *layer_image_new_prefix(const struct store *s, char out[LAYER_NEW_PREFIX_MAX])
{
	snprintf(out, LAYER_NEW_PREFIX_MAX, "%s%02x%02x%02x%02x-", layer_image_new_prefix_of_any, s->run[0], s->run[1],
		 s->run[2], s->run[3]);
	return out;
}

bool layer_image_choose_name(struct layer_image *i)
{
	char prefix[LAYER_NEW_PREFIX_MAX];
	uint64_t number;

	if (getrandom(&number, sizeof number, 0) != sizeof number)
		return false;
	snprintf(i->name, sizeof i->name, "%s%016llx", layer_image_new_prefix(i->store, prefix),
		 (unsigned long long)number);
	return true;
}

static int open_named(struct layer_image *i)
{
	if (!layer_image_choose_name(i))
		return -1;
	return openat(i->store->layers_fd, i->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static int open_file(struct layer_image *i)
{
	int fd = openat(i->store->layers_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd;
	return open_named(i);
}

int layer_image_new(struct store *s, struct layer_image **ret_image, struct err *err)
{
	CLEANUP(layer_image_freep) struct layer_image *i = NULL;
	int r = store_writable(s, err);

	if (r != OK)
		return r;
	i = calloc(1, sizeof *i);
	if (!i)
		return fail_nomem(err);
	i->store = s;
	i->fd = open_file(i);
	if (i->fd < 0)
		return store_fail_errno(s, 0, err, "create a layer's image");
	*ret_image = TAKE(i);
	return OK;
}

void layer_image_free(struct layer_image *i)
{
	if (!i)
		return;
	if (i->name[0])
		unlinkat(i->store->layers_fd, i->name, 0);
	closep(&i->fd);
	free(i);
}

void layer_image_freep(struct layer_image **i)
{
	layer_image_free(*i);
}

int layer_image_fd(const struct layer_image *i)
{
	return i->fd;
}

const struct layer_image_facts *layer_image_facts(const struct layer_image *i)
{
	assert(i->sealed);
	return &i->facts;
}

int layer_image_take_fd(struct layer_image *i)
{
	return take_fd(&i->fd);
}

void layer_image_seal(struct layer_image *i, int fd, const struct layer_image_facts *facts)
{
	i->fd = fd;
	i->facts = *facts;
	i->sealed = true;
}

static bool link_named(struct layer_image *i)
{
	char self[64];

	if (i->name[0])
		return true;
	snprintf(self, sizeof self, "/proc/self/fd/%d", i->fd);
	if (!layer_image_choose_name(i) || linkat(AT_FDCWD, self, i->store->layers_fd, i->name, AT_SYMLINK_FOLLOW)) {
		i->name[0] = 0;
		return false;
	}
	return true;
}

int layer_image_park(struct layer_image *i, struct err *err)
{
	assert(i->sealed);
	if (i->fd < 0)
		return OK;
	if (fsync(i->fd) || !link_named(i))
		return store_fail_errno(i->store, i->facts.image_size, err, "put a layer's image aside");
	close(take_fd(&i->fd));
	return OK;
}

/* ---- those that are there ----------------------------------------------------------- */

static struct layer_image_facts facts_of(const Imaged__Store__V1__LayerImageRecord *record, uint32_t version)
{
	return (struct layer_image_facts){
		.image_size = record->size,
		.inodes = record->inodes,
		.root_is_opaque = record->root_is_opaque,
		.writer_version = version,
	};
}

int layer_image_entry(struct store *s, const struct digest *diff_id, uint32_t version,
		      struct layer_image_entry *ret_entry, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct key k = key_layer_image(diff_id, version);
	ProtobufCMessage *m;
	int r;

	arena_init(&arena, RECORD_ARENA_MAX);
	r = record_get(s->local, &k, &imaged__store__v1__layer_image_record__descriptor, &arena, &m,
		       &ret_entry->revision, err);
	if (r != OK)
		return r;
	ret_entry->diff_id = *diff_id;
	ret_entry->facts = facts_of((Imaged__Store__V1__LayerImageRecord *)m, version);
	return OK;
}

static int get_record(struct store *s, const struct digest *diff_id, uint32_t version, struct layer_image_facts *facts,
		      struct err *err)
{
	struct layer_image_entry entry;
	int r = layer_image_entry(s, diff_id, version, &entry, err);

	if (r == OK)
		*facts = entry.facts;
	return r;
}

int layer_image_get(struct store *s, const struct digest *diff_id, uint32_t writer_version,
		    char ret_file[LAYER_IMAGE_FILE_MAX], struct layer_image_facts *ret_facts, struct err *err)
{
	char path[LAYER_PATH_MAX];
	int r = get_record(s, diff_id, writer_version, ret_facts, err);

	if (r == OK)
		snprintf(ret_file, LAYER_IMAGE_FILE_MAX, "layers/%s", layer_image_path(diff_id, writer_version, path));
	return r == E_NOT_FOUND ? fail(err, E_NOT_FOUND, "layer has no image") : r;
}

bool layer_image_exists(struct store *s, const struct digest *diff_id, uint32_t writer_version)
{
	struct key k = key_layer_image(diff_id, writer_version);
	uint64_t revision;

	return record_revision(s->local, &k, &revision, NULL) == OK;
}

int layer_image_open(struct store *s, const struct digest *diff_id, uint32_t writer_version, int *ret_fd,
		     struct layer_image_facts *ret_facts, struct err *err)
{
	char path[LAYER_PATH_MAX];
	int r = get_record(s, diff_id, writer_version, ret_facts, err), fd;

	if (r == E_NOT_FOUND)
		return fail(err, E_NOT_FOUND, "layer has no image");
	if (r != OK)
		return r;
	fd = openat(s->layers_fd, layer_image_path(diff_id, writer_version, path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return fail(err, E_NOT_FOUND, "layer's image is gone");
	if (fd < 0)
		return store_fail_errno(s, 0, err, "open layer's image '%s'", path);
	*ret_fd = fd;
	return OK;
}

/* Inside of one read of all records: a layer's record takes a microsecond, so that a
 * total kept beside them, which could be wrong, is not worth it. */
struct sum {
	struct arena arena;
	int64_t bytes, count;
};

/* One that cannot be read is for the check to tell. */
static bool add_record(void *arg, UNUSED struct bytes key, struct bytes value, UNUSED uint64_t revision)
{
	struct sum *sum = arg;
	ProtobufCMessage *m;

	arena_reset(&sum->arena, RECORD_ARENA_MAX);
	if (record_unpack(&imaged__store__v1__layer_image_record__descriptor, value, &sum->arena, &m, NULL) == OK) {
		sum->bytes += ((Imaged__Store__V1__LayerImageRecord *)m)->size;
		sum->count++;
	}
	return true;
}

static int sum_records(struct store *s, const struct key *prefix, int64_t *ret_bytes, int64_t *ret_count,
		       struct err *err)
{
	struct sum sum = { .bytes = 0 };
	int r;

	arena_init(&sum.arena, RECORD_ARENA_MAX);
	r = meta_prefix(s->local, key_bytes(prefix), add_record, &sum, err);
	arena_free(&sum.arena);
	if (r != OK)
		return r;
	*ret_bytes = sum.bytes;
	*ret_count = sum.count;
	return OK;
}

int layer_images_usage(struct store *s, int64_t *ret_bytes, int64_t *ret_count, struct err *err)
{
	struct key all = key_layer_image_prefix(NULL);

	return sum_records(s, &all, ret_bytes, ret_count, err);
}

int layer_images_size(struct store *s, const struct digest *diff_id, int64_t *ret_bytes, struct err *err)
{
	struct key versions = key_layer_image_prefix(diff_id);
	int64_t count;

	return sum_records(s, &versions, ret_bytes, &count, err);
}
