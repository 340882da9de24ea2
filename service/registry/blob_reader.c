#include "service/registry/blob_reader.h"

#include <assert.h>
#include <stdio.h>

#include "service/registry/content_range.h"
#include "service/registry/refusal.h"

enum { MARKS_MAX = 64, MARK_BYTES_MIN = 4 * 1024 * 1024 };

struct blob_reader {
	struct repository *repository;
	const struct descriptor *blob;
	struct cancel *cancel;
	struct answer answer;	 /* nothing is open: its x is NULL */
	struct bytes piece;	 /* the answer's, not taken yet */
	int64_t at;		 /* of the next byte of the piece, or of the answer */
	struct hasher hasher;	 /* of all before `at` */
	struct endpoint *mirror; /* the last that sent bytes and is not the registry; NULL: none */
	bool another;		 /* wrong bytes were perhaps a mirror's, which is not asked again */
	struct retry retry;
	int64_t best;	    /* the highest `at` so far: only what is above is progress */
	int64_t mark_bytes; /* from one mark to the next */
	/* The hash at each multiple of mark_bytes that was passed. */
	struct hasher marks[MARKS_MAX];
	size_t n_marks;
};

int blob_reader_new(struct repository *r, const struct descriptor *d, struct cancel *cancel,
		    struct blob_reader **ret_reader, struct err *err)
{
	struct blob_reader *b = calloc(1, sizeof *b);

	if (!b)
		return fail_nomem(err);
	b->repository = repository_ref(r);
	b->blob = d;
	b->cancel = cancel;
	b->retry.purpose = RETRY_TRANSFER;
	b->mark_bytes = d->size / MARKS_MAX + 1;
	if (b->mark_bytes < MARK_BYTES_MIN)
		b->mark_bytes = MARK_BYTES_MIN;
	hasher_init(&b->hasher, d->digest.algorithm);
	b->marks[b->n_marks++] = b->hasher;
	*ret_reader = b;
	return OK;
}

void blob_reader_free(struct blob_reader *b)
{
	if (!b)
		return;
	answer_free(&b->answer);
	repository_unref(b->repository);
	free(b);
}

void blob_reader_freep(struct blob_reader **b)
{
	blob_reader_free(*b);
}

static int wrap(const struct blob_reader *b, int code, struct err *err)
{
	char digest[DIGEST_TEXT_MAX];

	if (err)
		err_wrap(err, "blob %s of %s", digest_text(&b->blob->digest, digest), b->repository->familiar);
	return code;
}

/* ---- places ---------------------------------------------------------------- */

static void hang_up(struct blob_reader *b)
{
	answer_free(&b->answer);
	b->piece = (struct bytes){ NULL, 0 };
}

/* To the last mark that is not behind `offset`. */
static void go_back(struct blob_reader *b, int64_t offset)
{
	size_t mark = min_size((uint64_t)(offset / b->mark_bytes), b->n_marks - 1);

	hang_up(b);
	b->hasher = b->marks[mark];
	b->at = (int64_t)b->hasher.length;
}

static void pass(struct blob_reader *b, size_t len)
{
	hasher_update(&b->hasher, b->piece.data, len);
	b->piece.data += len;
	b->piece.len -= len;
	b->at += (int64_t)len;
	if (b->at > b->best) {
		retry_progress(&b->retry, b->at - b->best);
		b->best = b->at;
	}
	if (b->at == (int64_t)b->n_marks * b->mark_bytes && b->n_marks < MARKS_MAX)
		b->marks[b->n_marks++] = b->hasher;
}

/* ---- the answer ------------------------------------------------------------ */

static int send(struct blob_reader *b, enum retry_class *ret_class, struct err *err)
{
	char digest[DIGEST_TEXT_MAX], range[48];
	CLEANUP(freep) char *path = request_path(b->repository, "blobs", digest_text(&b->blob->digest, digest));
	struct request q = { .method = "GET", .path = path, .bulk = true };

	*ret_class = RETRY_NEVER;
	if (!path)
		return fail_nomem(err);
	if (b->at > 0) {
		snprintf(range, sizeof range, "bytes=%lld-", (long long)b->at);
		q.range = range;
	}
	return request_send(b->repository, &q, b->cancel, &b->answer, ret_class, err);
}

static int refuse(struct blob_reader *b, struct err *err)
{
	struct wanted w = { .blob = &b->blob->digest };

	return refusal_of_answer(b->repository, &w, &b->answer, b->cancel, err);
}

/* The body goes on at `at`, or begins again where there are no ranges. */
static int accept(struct blob_reader *b, enum retry_class *class, struct err *err)
{
	const struct http_response *response = http_response_of(b->answer.x);
	const char *coding = http_header_of(b->answer.x, "Content-Encoding");

	if (response->status != 200 && response->status != 206)
		return refuse(b, err);
	*class = RETRY_NEVER;
	if (b->answer.from != repository_registry(b->repository))
		b->mirror = b->answer.from;
	if (coding && *coding && strcmp(coding, "identity") != 0)
		return fail(err, E_BAD_CONTENT, "the registry sent it re-encoded (Content-Encoding: %.32s)", coding);
	if (response->status == 206)
		return content_range_continues(http_header_of(b->answer.x, "Content-Range"), b->at, b->blob->size)
			       ? OK
			       : fail(err, E_BAD_CONTENT, "the registry answered a range request with other bytes");
	if (response->content_length >= 0 && response->content_length != b->blob->size)
		return fail(err, E_BAD_CONTENT, "the registry has %lld bytes, the manifest says %lld",
			    (long long)response->content_length, (long long)b->blob->size);
	b->at = 0;
	b->hasher = b->marks[0];
	return OK;
}

/* A pause before another attempt; false with the reason when there is none. */
static bool pause_for(struct blob_reader *b, enum retry_class class, struct err *err)
{
	const struct retry_env *env = b->repository->registry->env;
	int64_t after = err ? err->retry_after_ms : 0;
	int64_t pause = class == RETRY_NEVER ? -1 : retry_pause(&b->retry, class, after, env);

	hang_up(b);
	if (pause < 0)
		return false;
	if (env->sleep(env->arg, b->cancel, pause))
		return true;
	cancel_check(b->cancel, err);
	return false;
}

/* A mirror whose answer is of no use is not asked again where there is another host. */
static bool is_passed_over(struct blob_reader *b, int code)
{
	if (code != E_BAD_CONTENT || !b->answer.from || !endpoint_refuse(b->repository, b->answer.from, HOST_PULL))
		return false;
	hang_up(b);
	return true;
}

static int open_answer(struct blob_reader *b, struct err *err)
{
	for (;;) {
		enum retry_class class;
		int code = send(b, &class, err);

		if (code == OK)
			code = accept(b, &class, err);
		if (code == OK)
			return OK;
		if (!is_passed_over(b, code) && !pause_for(b, class, err))
			return err->code;
	}
}

/* ---- bytes ----------------------------------------------------------------- */

/* At least one byte in the piece. What breaks off is asked for again. */
static int fill(struct blob_reader *b, struct err *err)
{
	while (!b->piece.len) {
		int code = b->answer.x ? OK : open_answer(b, err);

		if (code < 0)
			return code;
		code = http_next(b->answer.x, &b->piece, b->cancel, err);
		if (code == 1)
			continue;
		if (code == OK)
			code = fail(err, E_REGISTRY, "unexpected EOF");
		b->piece = (struct bytes){ NULL, 0 };
		if (code == E_REGISTRY)
			answer_broke_off(b->repository, &b->answer);
		if (code != E_REGISTRY || !pause_for(b, RETRY_BROKEN, err))
			return err->code;
	}
	return OK;
}

static size_t up_to(const struct blob_reader *b, int64_t end)
{
	int64_t mark = (b->at / b->mark_bytes + 1) * b->mark_bytes;

	if (end > mark)
		end = mark;
	if (end > b->blob->size)
		end = b->blob->size;
	return min_size((uint64_t)(end - b->at), b->piece.len);
}

static int check_end(struct blob_reader *b, struct err *err)
{
	struct hasher all = b->hasher;
	char got[DIGEST_TEXT_MAX];
	struct digest found;

	if (b->at < b->blob->size)
		return OK;
	found = hasher_final(&all);
	if (digest_eq(&found, &b->blob->digest))
		return OK;
	b->another = b->mirror && endpoint_refuse(b->repository, b->mirror, HOST_PULL);
	b->mirror = NULL;
	return fail(err, E_DIGEST_MISMATCH, "the bytes that arrived have the digest %s", digest_text(&found, got));
}

static int read_at(struct blob_reader *b, int64_t offset, uint8_t *data, size_t size, size_t *ret_len, struct err *err)
{
	const uint8_t *from;
	size_t len;

	if (offset < b->at)
		go_back(b, offset);
	do {
		if (fill(b, err) < 0)
			return err->code;
		from = b->piece.data;
		len = up_to(b, b->at < offset ? offset : offset + (int64_t)size);
		pass(b, len);
	} while (b->at <= offset);
	if (check_end(b, err) < 0)
		return err->code;
	memcpy(data, from, len);
	*ret_len = len;
	return OK;
}

int blob_reader_read(void *reader, int64_t offset, uint8_t *data, size_t size, size_t *ret_len, struct err *err)
{
	struct blob_reader *b = reader;
	struct err why = ERR_INIT;

	assert(offset >= 0 && offset < b->blob->size && size);
	if (size > HTTP_WINDOW)
		size = HTTP_WINDOW;
	if (read_at(b, offset, data, size, ret_len, &why) == OK)
		return OK;
	wrap(b, why.code, &why);
	if (err)
		*err = why;
	return why.code;
}

bool blob_reader_has_another(struct blob_reader *b)
{
	bool another = b->another;

	b->another = false;
	b->n_marks = 1; /* the others are of wrong bytes */
	go_back(b, 0);
	return another;
}
