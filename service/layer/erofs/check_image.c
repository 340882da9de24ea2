#include "service/layer/erofs/checking.h"

#include <inttypes.h>
#include <sys/stat.h>

/* Of the format; a larger file is none of it. */
static const uint64_t size_max = UINT64_C(1) << 44;

/* Of a block that is viewed one entry is looked at. */
enum { WORK_FACTOR = 16, VIEW_COST = 16 };
static const uint64_t work_min = UINT64_C(1) << 30;

struct check_block {
	uint64_t number; /* UINT64_MAX: none */
	uint8_t bytes[EROFS_BLOCK];
};

int check_image_init(struct check_image *i, int fd, size_t cached, struct err *err)
{
	struct stat s;

	*i = (struct check_image){ .fd = fd, .cached = cached };
	if (fstat(fd, &s) < 0)
		return fail_errno(err, "look at the layer's image");
	if (!S_ISREG(s.st_mode) || s.st_size < EROFS_BLOCK || s.st_size % EROFS_BLOCK || (uint64_t)s.st_size > size_max)
		return fail(err, E_CORRUPT, "layer's image is not sound: a file of %jd bytes", (intmax_t)s.st_size);
	i->size = (uint64_t)s.st_size;
	i->work = work_min + WORK_FACTOR * i->size;
	i->cache = calloc(cached, sizeof *i->cache);
	if (!i->cache)
		return fail_nomem(err);
	for (size_t k = 0; k < cached; k++)
		i->cache[k].number = UINT64_MAX;
	return OK;
}

void check_image_free(struct check_image *i)
{
	free(TAKE(i->cache));
}

static int load(const struct check_image *i, struct check_block *b, uint64_t number, struct err *err)
{
	ssize_t n;

	b->number = UINT64_MAX;
	do
		n = pread(i->fd, b->bytes, sizeof b->bytes, (off_t)(number << EROFS_BLOCK_BITS));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail_errno(err, "read the layer's image");
	if (n != sizeof b->bytes)
		return fail(err, E_CORRUPT, "layer's image is not sound: it became shorter");
	b->number = number;
	return OK;
}

/* The block is in the cache until another one is. */
static int find(struct check_image *i, uint64_t number, const struct check_block **ret_block, struct err *err)
{
	struct check_block *b = &i->cache[number % i->cached];
	int rc = b->number == number ? OK : load(i, b, number, err);

	*ret_block = b;
	return rc;
}

static int read_within(struct check_image *i, uint64_t at, uint8_t *out, size_t len, struct err *err)
{
	const struct check_block *b;
	int rc = find(i, at >> EROFS_BLOCK_BITS, &b, err);

	if (rc == OK)
		memcpy(out, b->bytes + at % EROFS_BLOCK, len);
	return rc;
}

static int spend(struct check_image *i, size_t len, struct err *err)
{
	if (len > i->work)
		return fail(err, E_CORRUPT, "layer's image is not sound: it leads to the same bytes again and again");
	i->work -= len;
	return OK;
}

static int begin(struct check_image *i, uint64_t at, size_t len, size_t cost, struct err *err)
{
	int rc = spend(i, cost, err);

	if (rc == OK && (at > i->size || len > i->size - at))
		return fail(err, E_CORRUPT, "layer's image is not sound: it leads past its end, to byte %" PRIu64, at);
	return rc;
}

int check_view(struct check_image *i, uint64_t at, size_t len, const uint8_t **ret_bytes, struct err *err)
{
	const struct check_block *b;
	int rc = begin(i, at, len, VIEW_COST, err);

	if (rc == OK && len > EROFS_BLOCK - at % EROFS_BLOCK)
		return fail(err, E_CORRUPT, "layer's image is not sound: what shall be in one block is not");
	if (rc == OK)
		rc = find(i, at >> EROFS_BLOCK_BITS, &b, err);
	if (rc == OK)
		*ret_bytes = b->bytes + at % EROFS_BLOCK;
	return rc;
}

int check_read(struct check_image *i, uint64_t at, void *out, size_t len, struct err *err)
{
	uint8_t *to = out;
	int rc = begin(i, at, len, len, err);

	while (rc == OK && len) {
		size_t n = min_size(EROFS_BLOCK - at % EROFS_BLOCK, len);

		rc = read_within(i, at, to, n, err);
		at += n;
		to += n;
		len -= n;
	}
	return rc;
}
