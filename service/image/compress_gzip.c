/*
 * One gzip member from blocks that threads compress: each block is deflate data of its own that
 * ends at a byte, so that they follow each other as they are. The caller's thread reads,
 * hashes and writes, in order; a layer of one block is done by it alone.
 */
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <pthread.h>

#include "service/image/compress_layer.h"

/* What deflate cannot make smaller is stored, with 5 bytes for each 64 KiB. */
enum { OUT_BYTES = COMPRESS_BLOCK + COMPRESS_BLOCK / 64 + 1024, LEVEL_BYTES = ISAL_DEF_LVL3_DEFAULT };

_Static_assert((int)LEVEL_BYTES >= (int)ISAL_DEF_LVL2_DEFAULT && (int)LEVEL_BYTES >= (int)ISAL_DEF_LVL1_DEFAULT,
	       "enough for every level");

struct block {
	bool done; /* gzip.mu */
	bool failed;
	size_t in_len, out_len;
	uint8_t in[COMPRESS_BLOCK], out[OUT_BYTES];
};

struct worker {
	struct gzip *gzip;
	pthread_t thread;
	uint8_t level[LEVEL_BYTES];
};

struct gzip {
	struct compress_source *source;
	struct ingest *out;
	int level;
	uint32_t crc, length; /* length: modulo 2^32, as gzip has it */
	bool ended;	      /* nothing is left to be read */

	struct block *blocks; /* a ring */
	size_t n_blocks;
	struct worker *workers;
	unsigned n_workers, wanted;

	pthread_mutex_t mu;
	pthread_cond_t changed;
	uint64_t filled, taken, written; /* blocks; mu. written <= taken <= filled <= written + n_blocks */
	bool stop;			 /* mu */
};

/* ---- a block --------------------------------------------------------------------- */

static void deflate_block(const struct gzip *g, uint8_t level[LEVEL_BYTES], struct block *b)
{
	struct isal_zstream stream;

	isal_deflate_init(&stream);
	stream.level = (uint32_t)g->level;
	stream.level_buf = level;
	stream.level_buf_size = LEVEL_BYTES;
	stream.flush = FULL_FLUSH;
	stream.next_in = b->in;
	stream.avail_in = (uint32_t)b->in_len;
	stream.next_out = b->out;
	stream.avail_out = OUT_BYTES;
	b->failed = isal_deflate(&stream) != COMP_OK || stream.avail_in || !stream.avail_out;
	b->out_len = OUT_BYTES - stream.avail_out;
}

static int read_block(struct gzip *g, struct block *b, struct err *err)
{
	if (compress_read(g->source, b->in, COMPRESS_BLOCK, &b->in_len, err) < 0)
		return err->code;
	g->crc = crc32_gzip_refl(g->crc, b->in, b->in_len);
	g->length += (uint32_t)b->in_len;
	g->ended = b->in_len < COMPRESS_BLOCK;
	b->done = false;
	return OK;
}

static int write_block(struct gzip *g, const struct block *b, struct err *err)
{
	if (b->failed)
		return fail(err, E_INTERNAL, "a layer could not be compressed");
	return ingest_write(g->out, b->out, b->out_len, err);
}

/* ---- threads --------------------------------------------------------------------- */

static struct block *take(struct gzip *g)
{
	struct block *b = NULL;

	pthread_mutex_lock(&g->mu);
	while (g->taken == g->filled && !g->stop)
		pthread_cond_wait(&g->changed, &g->mu);
	if (!g->stop)
		b = &g->blocks[g->taken++ % g->n_blocks];
	pthread_mutex_unlock(&g->mu);
	return b;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct gzip *g = w->gzip;
	struct block *b;

	while ((b = take(g))) {
		deflate_block(g, w->level, b);
		pthread_mutex_lock(&g->mu);
		b->done = true;
		pthread_cond_broadcast(&g->changed);
		pthread_mutex_unlock(&g->mu);
	}
	return NULL;
}

static int start_workers(struct gzip *g, struct err *err)
{
	while (g->n_workers < g->wanted) {
		struct worker *w = &g->workers[g->n_workers];

		w->gzip = g;
		errno = pthread_create(&w->thread, NULL, work, w);
		if (errno)
			break;
		g->n_workers++;
	}
	return g->n_workers ? OK : fail_errno(err, "start a thread");
}

static void stop_workers(struct gzip *g)
{
	pthread_mutex_lock(&g->mu);
	g->stop = true;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->mu);
	for (unsigned i = 0; i < g->n_workers; i++)
		pthread_join(g->workers[i].thread, NULL);
}

/* The block is read already. */
static void hand_over(struct gzip *g)
{
	pthread_mutex_lock(&g->mu);
	g->filled++;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->mu);
}

static int write_oldest(struct gzip *g, struct err *err)
{
	struct block *b = &g->blocks[g->written % g->n_blocks];

	pthread_mutex_lock(&g->mu);
	while (!b->done)
		pthread_cond_wait(&g->changed, &g->mu);
	pthread_mutex_unlock(&g->mu);
	if (write_block(g, b, err) < 0)
		return err->code;
	g->written++;
	return OK;
}

/* The first block is read. */
static int deflate_with_workers(struct gzip *g, struct err *err)
{
	if (start_workers(g, err) < 0)
		return err->code;
	hand_over(g);
	while (!g->ended) {
		if (g->filled - g->written == g->n_blocks && write_oldest(g, err) < 0)
			return err->code;
		if (read_block(g, &g->blocks[g->filled % g->n_blocks], err) < 0)
			return err->code;
		hand_over(g);
	}
	while (g->written < g->filled)
		if (write_oldest(g, err) < 0)
			return err->code;
	return OK;
}

/* ---- the member ------------------------------------------------------------------ */

static int write_head(struct gzip *g, struct err *err)
{
	static const uint8_t head[] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff /* any system */ };

	return ingest_write(g->out, head, sizeof head, err);
}

static void put_number(uint8_t *to, uint32_t n)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(n >> 8 * i);
}

/* Behind an empty last block. */
static int write_end(struct gzip *g, struct err *err)
{
	uint8_t end[] = { 0x03, 0x00, 0, 0, 0, 0, 0, 0, 0, 0 };

	put_number(end + 2, g->crc);
	put_number(end + 6, g->length);
	return ingest_write(g->out, end, sizeof end, err);
}

static int deflate_all(struct gzip *g, struct err *err)
{
	int r;

	if (write_head(g, err) < 0 || read_block(g, &g->blocks[0], err) < 0)
		return err->code;
	if (!g->ended) {
		r = deflate_with_workers(g, err);
		stop_workers(g);
	} else {
		deflate_block(g, g->workers[0].level, &g->blocks[0]);
		r = write_block(g, &g->blocks[0], err);
	}
	return r == OK ? write_end(g, err) : r;
}

int compress_gzip(struct compress_source *s, int level, unsigned threads, struct ingest *out, struct err *err)
{
	struct gzip g = { .source = s, .out = out, .level = level, .wanted = threads };
	int r;

	g.n_blocks = 2 * ((size_t)threads + 1);
	g.blocks = calloc(g.n_blocks, sizeof *g.blocks);
	g.workers = calloc(threads, sizeof *g.workers);
	pthread_mutex_init(&g.mu, NULL);
	pthread_cond_init(&g.changed, NULL);
	r = g.blocks && g.workers ? deflate_all(&g, err) : fail_nomem(err);
	pthread_cond_destroy(&g.changed);
	pthread_mutex_destroy(&g.mu);
	free(g.workers);
	free(g.blocks);
	return r;
}
