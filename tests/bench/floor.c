/*
 * What a pull costs at least on this machine: receives the blobs of one image by
 * libcurl from a registry, over all cores, and for each layer computes the sha256
 * of the blob, inflates it by ISA-L, computes the sha256 of the tar, and writes the
 * blob once. Compares both with what the image says. No store, no names, no fsync,
 * no process boundary: nobody can promise less and verify as much.
 *
 *   floor HOST:PORT REPOSITORY MANIFEST-DIGEST DIRECTORY
 *
 * Each of as many slots as there are cores takes layers one after another, with one
 * thread that receives, hashes and writes, and one that inflates and hashes.
 */
#include <curl/curl.h>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	RING_BUFFERS = 16,
	BUFFER_BYTES = 256 << 10,
	TAR_BYTES = 256 << 10,
	LAYERS_MAX = 512,
	URL_BYTES = 1024,
	TEXT_BYTES = 80,
	DOCUMENT_MAX = 4 << 20,
};

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fputs("floor: ", stderr);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

/* ---- hashing ---------------------------------------------------------------- */

static EVP_MD_CTX *hash_new(void)
{
	EVP_MD_CTX *h = EVP_MD_CTX_new();

	if (!h || !EVP_DigestInit_ex(h, EVP_sha256(), NULL))
		die("no sha256");
	return h;
}

static void hash_check(EVP_MD_CTX *h, const char *wanted, const char *what)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	char text[TEXT_BYTES] = "sha256:";
	unsigned n = 0;

	EVP_DigestFinal_ex(h, sum, &n);
	EVP_MD_CTX_free(h);
	for (unsigned i = 0; i < n; i++)
		snprintf(text + 7 + 2 * i, 3, "%02x", sum[i]);
	if (strcmp(text, wanted))
		die("%s is %s, not %s", what, text, wanted);
}

/* ---- from the receiver to the inflater ---------------------------------------- */

struct ring {
	pthread_mutex_t mu;
	pthread_cond_t changed;
	size_t head, tail; /* buffers put and taken; head - tail <= RING_BUFFERS */
	bool closed;
	size_t len[RING_BUFFERS];
	unsigned char *data; /* RING_BUFFERS * BUFFER_BYTES */
};

/* NULL when it is closed and empty. The buffer is ring_done()'s. */
static const unsigned char *ring_take(struct ring *r, size_t *ret_len)
{
	const unsigned char *found = NULL;

	pthread_mutex_lock(&r->mu);
	while (r->head == r->tail && !r->closed)
		pthread_cond_wait(&r->changed, &r->mu);
	if (r->head != r->tail) {
		found = r->data + r->tail % RING_BUFFERS * BUFFER_BYTES;
		*ret_len = r->len[r->tail % RING_BUFFERS];
	}
	pthread_mutex_unlock(&r->mu);
	return found;
}

static void ring_done(struct ring *r)
{
	pthread_mutex_lock(&r->mu);
	r->tail++;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->mu);
}

static unsigned char *ring_space(struct ring *r)
{
	pthread_mutex_lock(&r->mu);
	while (r->head - r->tail == RING_BUFFERS)
		pthread_cond_wait(&r->changed, &r->mu);
	pthread_mutex_unlock(&r->mu);
	return r->data + r->head % RING_BUFFERS * BUFFER_BYTES;
}

static void ring_put(struct ring *r, size_t len)
{
	pthread_mutex_lock(&r->mu);
	r->len[r->head % RING_BUFFERS] = len;
	r->head++;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->mu);
}

static void ring_close(struct ring *r)
{
	pthread_mutex_lock(&r->mu);
	r->closed = true;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->mu);
}

/* ---- layers -------------------------------------------------------------------- */

struct layer {
	const char *digest, *diff_id;
	bool gzip;
	long long size;
};

struct slot {
	CURL *curl;
	struct ring ring;
	struct layer *layer;
	EVP_MD_CTX *blob_hash;
	int fd;
	size_t filled; /* of the buffer that is being filled */
	unsigned char *space;
	long long received;
	unsigned char *tar;
};

static const char *host, *repository, *directory;
static struct layer layers[LAYERS_MAX];
static size_t n_layers, next_layer;
static pthread_mutex_t next_mu = PTHREAD_MUTEX_INITIALIZER;

static struct layer *take_layer(void)
{
	struct layer *l;

	pthread_mutex_lock(&next_mu);
	l = next_layer < n_layers ? &layers[next_layer++] : NULL;
	pthread_mutex_unlock(&next_mu);
	return l;
}

static void inflate_piece(struct slot *s, struct inflate_state *z, EVP_MD_CTX *h, const unsigned char *data, size_t len)
{
	z->next_in = (unsigned char *)data;
	z->avail_in = (uint32_t)len;
	do {
		z->next_out = s->tar;
		z->avail_out = TAR_BYTES;
		if (isal_inflate(z) != ISAL_DECOMP_OK)
			die("inflate %s", s->layer->digest);
		EVP_DigestUpdate(h, s->tar, TAR_BYTES - z->avail_out);
	} while (z->avail_out == 0 || (z->avail_in && z->block_state != ISAL_BLOCK_FINISH));
}

static void *inflate_layer(void *arg)
{
	struct slot *s = arg;
	struct inflate_state *z = malloc(sizeof *z);
	EVP_MD_CTX *h = hash_new();
	const unsigned char *data;
	size_t len;

	if (!z)
		die("out of memory");
	isal_inflate_init(z);
	z->crc_flag = ISAL_GZIP;
	while ((data = ring_take(&s->ring, &len))) {
		if (s->layer->gzip)
			inflate_piece(s, z, h, data, len);
		else
			EVP_DigestUpdate(h, data, len);
		ring_done(&s->ring);
	}
	free(z);
	hash_check(h, s->layer->diff_id, "the tar of a layer");
	return NULL;
}

static size_t on_data(char *data, size_t one, size_t n, void *arg)
{
	struct slot *s = arg;
	size_t len = one * n, done = 0;

	EVP_DigestUpdate(s->blob_hash, data, len);
	s->received += (long long)len;
	while (done < len) {
		size_t part = BUFFER_BYTES - s->filled < len - done ? BUFFER_BYTES - s->filled : len - done;

		if (!s->space)
			s->space = ring_space(&s->ring);
		memcpy(s->space + s->filled, data + done, part);
		s->filled += part;
		done += part;
		if (s->filled == BUFFER_BYTES) {
			if (write(s->fd, s->space, s->filled) != (ssize_t)s->filled)
				die("write");
			ring_put(&s->ring, s->filled);
			s->space = NULL;
			s->filled = 0;
		}
	}
	return len;
}

static void receive(struct slot *s)
{
	char url[URL_BYTES], path[URL_BYTES];
	CURLcode rc;

	snprintf(url, sizeof url, "http://%s/v2/%s/blobs/%s", host, repository, s->layer->digest);
	snprintf(path, sizeof path, "%s/%s", directory, s->layer->digest + 7);
	s->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (s->fd < 0)
		die("create %s", path);
	s->blob_hash = hash_new();
	s->received = 0;
	curl_easy_setopt(s->curl, CURLOPT_URL, url);
	rc = curl_easy_perform(s->curl);
	if (rc)
		die("%s: %s", url, curl_easy_strerror(rc));
	if (s->filled && write(s->fd, s->space, s->filled) != (ssize_t)s->filled)
		die("write");
	if (s->filled)
		ring_put(&s->ring, s->filled);
	s->filled = 0;
	s->space = NULL;
	close(s->fd);
	if (s->received != s->layer->size)
		die("%s has %lld bytes, not %lld", s->layer->digest, s->received, s->layer->size);
	hash_check(s->blob_hash, s->layer->digest, "a blob");
}

static void *run_slot(void *arg)
{
	struct slot *s = arg;

	s->curl = curl_easy_init();
	s->tar = malloc(TAR_BYTES);
	s->ring.data = malloc((size_t)RING_BUFFERS * BUFFER_BYTES);
	if (!s->curl || !s->tar || !s->ring.data)
		die("out of memory");
	pthread_mutex_init(&s->ring.mu, NULL);
	pthread_cond_init(&s->ring.changed, NULL);
	curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(s->curl, CURLOPT_WRITEDATA, s);
	curl_easy_setopt(s->curl, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(s->curl, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
	while ((s->layer = take_layer())) {
		pthread_t inflater;

		s->ring.head = s->ring.tail = 0;
		s->ring.closed = false;
		if (pthread_create(&inflater, NULL, inflate_layer, s))
			die("no thread");
		receive(s);
		ring_close(&s->ring);
		pthread_join(inflater, NULL);
	}
	curl_easy_cleanup(s->curl);
	free(s->tar);
	free(s->ring.data);
	return NULL;
}

/* ---- the image ------------------------------------------------------------------- */

struct document {
	char *data;
	size_t len;
};

static size_t on_document(char *data, size_t one, size_t n, void *arg)
{
	struct document *d = arg;
	size_t len = one * n;

	if (len > DOCUMENT_MAX - d->len)
		return 0;
	memcpy(d->data + d->len, data, len);
	d->len += len;
	return len;
}

static json_t *get_json(const char *kind, const char *digest)
{
	static const char accept[] = "Accept: application/vnd.oci.image.manifest.v1+json, "
				     "application/vnd.docker.distribution.manifest.v2+json";
	struct document d = { malloc(DOCUMENT_MAX), 0 };
	struct curl_slist *headers = curl_slist_append(NULL, accept);
	EVP_MD_CTX *h = hash_new();
	CURL *curl = curl_easy_init();
	char url[URL_BYTES];
	json_t *value;

	if (!d.data || !curl)
		die("out of memory");
	snprintf(url, sizeof url, "http://%s/v2/%s/%s/%s", host, repository, kind, digest);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_document);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &d);
	curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
	if (curl_easy_perform(curl))
		die("%s", url);
	EVP_DigestUpdate(h, d.data, d.len);
	hash_check(h, digest, kind);
	value = json_loadb(d.data, d.len, 0, NULL);
	if (!value)
		die("%s is not JSON", url);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	free(d.data);
	return value;
}

static const char *text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* The trees live as long as the program. */
static void read_image(const char *digest)
{
	json_t *manifest = get_json("manifests", digest), *list = json_object_get(manifest, "layers");
	json_t *config = get_json("blobs", text_at(json_object_get(manifest, "config"), "digest"));
	json_t *ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");

	n_layers = json_array_size(list);
	if (!n_layers || n_layers > LAYERS_MAX || json_array_size(ids) != n_layers)
		die("%zu layers, %zu diff ids", n_layers, json_array_size(ids));
	for (size_t i = 0; i < n_layers; i++) {
		json_t *one = json_array_get(list, i);

		layers[i] = (struct layer){ .digest = text_at(one, "digest"),
					    .diff_id = json_string_value(json_array_get(ids, i)),
					    .gzip = strstr(text_at(one, "mediaType"), "gzip") != NULL,
					    .size = json_integer_value(json_object_get(one, "size")) };
		if (strlen(layers[i].digest) != 71 || !layers[i].diff_id)
			die("layer %zu has no digest", i);
	}
}

int main(int argc, char **argv)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	struct slot *slots;
	pthread_t *threads;

	if (argc != 5) {
		fprintf(stderr, "usage: floor HOST:PORT REPOSITORY MANIFEST-DIGEST DIRECTORY\n");
		return 2;
	}
	host = argv[1];
	repository = argv[2];
	directory = argv[4];
	curl_global_init(CURL_GLOBAL_DEFAULT);
	read_image(argv[3]);
	cores = cores < 1 ? 1 : cores;
	slots = calloc((size_t)cores, sizeof *slots);
	threads = calloc((size_t)cores, sizeof *threads);
	if (!slots || !threads)
		die("out of memory");
	for (long i = 0; i < cores; i++)
		if (pthread_create(&threads[i], NULL, run_slot, &slots[i]))
			die("no thread");
	for (long i = 0; i < cores; i++)
		pthread_join(threads[i], NULL);
	free(slots);
	free(threads);
	curl_global_cleanup();
	return 0;
}
