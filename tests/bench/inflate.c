/* What it takes at least to learn a layer's diff ID: `bench_inflate FILE.gz` inflates and
 * hashes the file on one thread, as fast as the libraries do, and prints the seconds. */
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 256 * 1024 };

static uint8_t in[PIECE], out[PIECE];

static void die(const char *what)
{
	fprintf(stderr, "bench_inflate: %s\n", what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void inflate_piece(struct inflate_state *z, EVP_MD_CTX *hash)
{
	do {
		z->next_out = out;
		z->avail_out = sizeof out;
		if (isal_inflate(z) != ISAL_DECOMP_OK)
			die("the file is no sound gzip");
		EVP_DigestUpdate(hash, out, sizeof out - z->avail_out);
	} while (!z->avail_out);
}

static void inflate_file(int fd, EVP_MD_CTX *hash)
{
	struct inflate_state z;
	ssize_t n;

	isal_inflate_init(&z);
	z.crc_flag = ISAL_GZIP;
	while ((n = read(fd, in, sizeof in)) > 0) {
		z.next_in = in;
		z.avail_in = (uint32_t)n;
		inflate_piece(&z, hash);
	}
	if (n < 0 || z.block_state != ISAL_BLOCK_FINISH)
		die("the file cannot be read to its end");
}

int main(int argc, char **argv)
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	uint8_t digest[32];
	double begin = now();

	if (fd < 0 || !hash || !EVP_DigestInit_ex(hash, EVP_sha256(), NULL))
		die("usage: bench_inflate FILE.gz");
	inflate_file(fd, hash);
	EVP_DigestFinal_ex(hash, digest, NULL);
	printf("%.6f\n", now() - begin);
	EVP_MD_CTX_free(hash);
	close(fd);
	return 0;
}
