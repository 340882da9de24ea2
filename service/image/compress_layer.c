#include "service/image/compress_layer.h"

#include <unistd.h>

int compress_read(struct compress_source *s, uint8_t *data, size_t size, size_t *ret_len, struct err *err)
{
	size_t len = 0;

	if (cancel_check(s->cancel, err) < 0)
		return err->code;
	while (len < size) {
		ssize_t n = read(s->fd, data + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "read a layer");
		if (n == 0)
			break;
		len += (size_t)n;
	}
	hasher_update(&s->hasher, data, len);
	*ret_len = len;
	return OK;
}

static unsigned threads_of(const struct compress_options *o)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (o->threads)
		return o->threads < COMPRESS_THREADS_MAX ? o->threads : COMPRESS_THREADS_MAX;
	return cores < 1 ? 1 : cores < COMPRESS_THREADS_MAX ? (unsigned)cores : COMPRESS_THREADS_MAX;
}

static int level_of(const struct compress_options *o)
{
	bool zstd = o->compression == COMPRESSION_ZSTD;
	int max = zstd ? COMPRESS_ZSTD_LEVEL_MAX : COMPRESS_GZIP_LEVEL;

	if (o->level <= 0)
		return zstd ? COMPRESS_ZSTD_LEVEL : COMPRESS_GZIP_LEVEL;
	return o->level < max ? o->level : max;
}

int compress_layer(struct store *s, int fd, const struct digest *tar, const struct compress_options *options,
		   struct cancel *cancel, struct ingest **ret_ingest, struct digest *ret_digest, struct err *err)
{
	CLEANUP(ingest_unrefp) struct ingest *out = NULL;
	struct compress_source source = { .fd = fd, .cancel = cancel };
	bool zstd = options->compression == COMPRESSION_ZSTD;
	char text[DIGEST_TEXT_MAX];
	struct digest found;

	if (ingest_open_unnamed(s, DIGEST_SHA256, &out, err) < 0)
		return err->code;
	hasher_init(&source.hasher, (enum digest_algorithm)tar->algorithm);
	if ((zstd ? compress_zstd : compress_gzip)(&source, level_of(options), threads_of(options), out, err) < 0)
		return err->code;
	found = hasher_final(&source.hasher);
	if (!digest_eq(&found, tar))
		return fail(err, E_CORRUPT, "layer %s is damaged: its bytes are others", digest_text(tar, text));
	if (ingest_name(out, ret_digest, err) < 0)
		return err->code;
	*ret_ingest = TAKE(out);
	return OK;
}
