/* What a push does with a plain layer: `bench_compress ROOT FILE gzip|zstd LEVEL THREADS [OUT]`
 * compresses the file into a store at ROOT, prints the seconds and the bytes, and copies them
 * to OUT. LEVEL and THREADS 0: as a push. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "proto/runtime/clock.h"
#include "service/image/compress_layer.h"

static int fail_with(const struct err *err)
{
	fprintf(stderr, "bench_compress: %s\n", err->text);
	return 1;
}

static int hash_file(int fd, struct digest *ret_digest, struct err *err)
{
	static uint8_t piece[256 * 1024];
	struct hasher h;
	ssize_t n;

	hasher_init(&h, DIGEST_SHA256);
	while ((n = read(fd, piece, sizeof piece)) > 0)
		hasher_update(&h, piece, (size_t)n);
	if (n < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return fail_errno(err, "read the file");
	*ret_digest = hasher_final(&h);
	return OK;
}

static int copy_out(struct ingest *i, const char *path, struct err *err)
{
	CLEANUP(closep) int in = -1;
	CLEANUP(closep) int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t n;

	if (out < 0)
		return fail_errno(err, "open '%s'", path);
	if (ingest_reader(i, &in, err) < 0)
		return err->code;
	while ((n = copy_file_range(in, NULL, out, NULL, SIZE_MAX / 4, 0)) > 0)
		;
	return n < 0 ? fail_errno(err, "write '%s'", path) : OK;
}

static int measure(struct store *s, int fd, const struct compress_options *options, const char *path, struct err *err)
{
	CLEANUP(ingest_unrefp) struct ingest *out = NULL;
	struct digest tar, digest;
	int64_t begin;

	if (hash_file(fd, &tar, err) < 0)
		return err->code;
	begin = clock_monotonic_ms();
	if (compress_layer(s, fd, &tar, options, NULL, &out, &digest, err) < 0)
		return err->code;
	printf("%.3f %lld\n", (double)(clock_monotonic_ms() - begin) / 1e3, (long long)ingest_offset(out));
	return path ? copy_out(out, path, err) : OK;
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	struct compress_options options;
	struct store *s = NULL;
	int fd = argc >= 6 ? open(argv[2], O_RDONLY | O_CLOEXEC) : -1;
	int r;

	if (fd < 0) {
		fputs("usage: bench_compress ROOT FILE gzip|zstd LEVEL THREADS [OUT]\n", stderr);
		return 1;
	}
	options = (struct compress_options){ .compression = *argv[3] == 'z' ? COMPRESSION_ZSTD : COMPRESSION_GZIP,
					     .level = (int)strtol(argv[4], NULL, 10),
					     .threads = (unsigned)strtoul(argv[5], NULL, 10) };
	if (store_open(argv[1], &s, &err) < 0)
		return fail_with(&err);
	r = measure(s, fd, &options, argv[6], &err);
	store_close(s);
	close(fd);
	return r == OK ? 0 : fail_with(&err);
}
