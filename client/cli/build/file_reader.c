#include "client/cli/build/file_reader.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { BATCH_MEMORY_MAX = 1024 * 1024, TEXT_MAX = 4096 + 256 };

/* ---- batches ------------------------------------------------------------------------- */

static void begin_batch(struct file_batch *b)
{
	b->n = b->used = 0;
	arena_reset(&b->memory, BATCH_MEMORY_MAX);
}

/* An empty one; NULL: nobody wants more. */
static struct file_batch *first_batch(struct file_reader *r)
{
	begin_batch(&r->batches[0]);
	return &r->batches[0];
}

/* Hands the batch over, and waits for room for another one. */
static struct file_batch *next_batch(struct file_reader *r)
{
	struct file_batch *b = NULL;

	pthread_mutex_lock(&r->mu);
	r->filled++;
	pthread_cond_broadcast(&r->changed);
	while (!r->stopped && r->filled - r->taken > READER_BATCHES - 2)
		pthread_cond_wait(&r->changed, &r->mu);
	if (!r->stopped)
		b = &r->batches[r->filled % READER_BATCHES];
	pthread_mutex_unlock(&r->mu);
	if (b)
		begin_batch(b);
	return b;
}

static Imaged__V1__FilePiece *add_piece(struct file_batch *b, uint32_t file)
{
	Imaged__V1__FilePiece *p = &b->pieces[b->n];

	imaged__v1__file_piece__init(p);
	p->file = file;
	p->data.data = b->bytes + b->used;
	b->pointers[b->n++] = p;
	return p;
}

/* Of xattrs and texts, which are rare, the worst must fit too. */
static bool is_full(const struct file_batch *b)
{
	return b->n == READER_BATCH_PIECES || b->used == READER_BATCH_BYTES ||
	       b->memory.used > BATCH_MEMORY_MAX - 4 * CONTEXT_XATTRS_MAX;
}

/* ---- files --------------------------------------------------------------------------- */

struct reading {
	struct file_reader *r;
	struct file_batch *batch; /* NULL: stopped */
	uint32_t file;
	const struct context_entry *entry;
	int fd;
};

static void give_up(struct reading *g, Imaged__V1__FilePiece *p, const struct err *why)
{
	char *text = arena_string(&g->batch->memory, why->text);

	p->failed = text ? text : (char *)"out of memory";
}

static int fail_changed(const struct reading *g, struct err *err)
{
	return fail(err, E_ABORTED, "%s/%s: changed while the build was reading it", g->r->listing->root,
		    (const char *)g->entry->path.data);
}

/* It must be the file of the list still. */
static int check_same(const struct reading *g, struct statx *st, struct err *err)
{
	if (statx(g->fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, st))
		return listing_fail(g->r->listing, "stat", g->entry->path, err);
	return listing_stamp(st) == g->entry->stamp ? OK : fail_changed(g, err);
}

static int add_xattrs(const struct reading *g, Imaged__V1__FilePiece *p, struct err *err)
{
	struct arena *a = &g->batch->memory;
	Imaged__V1__ExtendedAttribute *all;
	struct context_xattr *xattrs;
	size_t n;
	int r = listing_xattrs(g->fd, a, &xattrs, &n, err);

	if (r != OK || !n)
		return r;
	all = arena_array(a, n, sizeof *all);
	p->xattrs = arena_array(a, n, sizeof(Imaged__V1__ExtendedAttribute *));
	if (!all || !p->xattrs)
		return fail_nomem(err);
	for (size_t i = 0; i < n; i++) {
		imaged__v1__extended_attribute__init(&all[i]);
		all[i].name = (ProtobufCBinaryData){ xattrs[i].name.len, (uint8_t *)xattrs[i].name.data };
		all[i].value = (ProtobufCBinaryData){ xattrs[i].value.len, (uint8_t *)xattrs[i].value.data };
		p->xattrs[i] = &all[i];
	}
	p->n_xattrs = n;
	return OK;
}

static int end_file(const struct reading *g, Imaged__V1__FilePiece *p, struct err *err)
{
	struct statx st;
	int r = add_xattrs(g, p, err);

	if (r == OK)
		r = check_same(g, &st, err);
	if (r != OK)
		return r;
	p->end = true;
	p->unsettled = listing_is_unsettled(&st);
	return OK;
}

/* One piece of at most what fits; *ret_len is 0 at the end of the file. */
static int read_piece(const struct reading *g, Imaged__V1__FilePiece *p, int64_t left, size_t *ret_len, struct err *err)
{
	size_t room = min_size((uint64_t)left, READER_BATCH_BYTES - g->batch->used);
	ssize_t n = 0;

	if (room)
		do
			n = read(g->fd, p->data.data, room);
		while (n < 0 && errno == EINTR);
	if (n < 0)
		return listing_fail(g->r->listing, "read", g->entry->path, err);
	if (room && !n)
		return fail_changed(g, err);
	p->data.len = *ret_len = (size_t)n;
	g->batch->used += (size_t)n;
	return OK;
}

static void read_pieces(struct reading *g)
{
	int64_t left = g->entry->size;
	bool over = false;

	while (!over && g->batch) {
		struct err why = ERR_INIT;
		Imaged__V1__FilePiece *p;
		size_t len = 0;

		if (is_full(g->batch)) {
			g->batch = next_batch(g->r);
			continue;
		}
		p = add_piece(g->batch, g->file);
		over = read_piece(g, p, left, &len, &why) < 0;
		left -= (int64_t)len;
		if (!over && !left) {
			end_file(g, p, &why);
			over = true;
		}
		if (why.code != OK)
			give_up(g, p, &why);
	}
}

static void read_file(struct reading *g)
{
	struct err why = ERR_INIT;
	uint64_t stamp = 0;

	if (is_full(g->batch))
		g->batch = next_batch(g->r);
	if (!g->batch)
		return;
	if (listing_open(g->r->listing, g->file, &g->fd, &stamp, &why) == OK && stamp != g->entry->stamp)
		fail_changed(g, &why);
	if (why.code != OK)
		give_up(g, add_piece(g->batch, g->file), &why);
	else
		read_pieces(g);
	closep(&g->fd);
	g->fd = -1;
}

static void *run(void *reader)
{
	struct file_reader *r = reader;
	struct reading g = { .r = r, .batch = first_batch(r), .fd = -1 };

	for (size_t i = 0; g.batch && i < r->n; i++) {
		g.file = r->files[i];
		g.entry = &r->listing->entries[g.file];
		read_file(&g);
	}
	pthread_mutex_lock(&r->mu);
	if (g.batch && g.batch->n)
		r->filled++;
	r->over = true;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->mu);
	return NULL;
}

/* ---- the other side --------------------------------------------------------------------- */

static void release(struct file_reader *r)
{
	for (size_t i = 0; r->batches && i < READER_BATCHES; i++)
		arena_free(&r->batches[i].memory);
	free(r->batches);
	free(r->files);
	pthread_mutex_destroy(&r->mu);
	pthread_cond_destroy(&r->changed);
}

static int prepare(struct file_reader *r, const uint32_t *files, struct err *err)
{
	r->files = reallocarray(NULL, r->n + 1, sizeof *files);
	r->batches = reallocarray(NULL, READER_BATCHES, sizeof *r->batches);
	if (!r->files || !r->batches)
		return fail_nomem(err);
	memcpy(r->files, files, r->n * sizeof *files);
	for (size_t i = 0; i < READER_BATCHES; i++)
		arena_init(&r->batches[i].memory, BATCH_MEMORY_MAX);
	errno = pthread_create(&r->thread, NULL, run, r);
	return errno ? fail_errno(err, "start a thread") : OK;
}

int file_reader_start(struct file_reader *r, const struct listing *listing, const uint32_t *files, size_t n,
		      struct err *err)
{
	int code;

	*r = (struct file_reader){ .listing = listing, .n = n };
	pthread_mutex_init(&r->mu, NULL);
	pthread_cond_init(&r->changed, NULL);
	code = prepare(r, files, err);
	r->running = code == OK;
	if (code != OK)
		release(r);
	return code;
}

/* The batch that was given is given back by the next call: `taken` counts those that are
 * over, and the one in hand is not. */
const struct file_batch *file_reader_next(struct file_reader *r)
{
	const struct file_batch *b = NULL;

	pthread_mutex_lock(&r->mu);
	while (r->filled == r->taken && !r->over)
		pthread_cond_wait(&r->changed, &r->mu);
	if (r->filled > r->taken) {
		b = &r->batches[r->taken++ % READER_BATCHES];
		pthread_cond_broadcast(&r->changed);
	}
	pthread_mutex_unlock(&r->mu);
	return b;
}

void file_reader_end(struct file_reader *r)
{
	if (!r->running)
		return;
	pthread_mutex_lock(&r->mu);
	r->stopped = true;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->mu);
	pthread_join(r->thread, NULL);
	release(r);
	r->running = false;
}
