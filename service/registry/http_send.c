/* A body on its way out: the caller's thread reads the source, curl's thread sends. */
#include "proto/runtime/clock.h"
#include "service/registry/http_internal.h"

enum {
	/* The answer to a body: the server may have gigabytes to hash and to move first. */
	ANSWER_PATIENCE = 5,
	SEND_BUFFER = 512 * 1024,
};

/* HTTP/1.1: the window of an HTTP/2 stream holds a large body up, and libcurl 7.88 does
 * not always wake a stream that waited for bytes. */
bool exchange_set_source(struct http_exchange *x, const struct http_request *q)
{
	int64_t length = q->source->length;
	size_t cap = length < HTTP_WINDOW ? (size_t)length : HTTP_WINDOW;

	x->outgoing_length = length;
	x->sent_all = length == 0;
	curl_easy_setopt(x->easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(x->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)length);
	curl_easy_setopt(x->easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)SEND_BUFFER);
	curl_easy_setopt(x->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(x->easy, CURLOPT_NOPROGRESS, 0L);
	return ring_init(&x->outgoing, cap ? cap : 1);
}

int64_t exchange_answer_deadline(const struct http_exchange *x, int64_t limit)
{
	if (!x->sent_at)
		return NO_DEADLINE;
	return x->sent_all ? x->moved_at + ANSWER_PATIENCE * limit : x->moved_at + x->client->stall_ms;
}

static bool is_over(const struct http_exchange *x)
{
	return x->answered || x->finished;
}

static bool wants_bytes(const struct http_exchange *x)
{
	return is_over(x) || ring_room(&x->outgoing) >= (x->outgoing.cap + 1) / 2;
}

static int await_room(struct http_exchange *x, struct cancel *cancel, bool *ret_over, enum http_failure *ret_failed,
		      struct err *err)
{
	enum wait_end end = exchange_wait(x, wants_bytes, exchange_answer_deadline, x->client->header_ms, cancel);
	int r = cancel_check(cancel, err);

	if (r != OK)
		return r;
	if (end == WAIT_TIMEOUT) {
		*ret_failed = HTTP_FAILED_BROKEN;
		return fail(err, E_REGISTRY, "%s: the transfer stalled: too few bytes were taken in %d s", x->shown,
			    (int)((x->client->stall_ms + 999) / 1000));
	}
	pthread_mutex_lock(&x->mu);
	*ret_over = is_over(x);
	pthread_mutex_unlock(&x->mu);
	return OK;
}

static int put_piece(struct http_exchange *x, const struct http_source *source, int64_t *offset, struct err *err)
{
	size_t size, len = 0;
	uint8_t *space = ring_space(&x->outgoing, &size);
	int r;

	if ((int64_t)size > source->length - *offset)
		size = (size_t)(source->length - *offset);
	r = source->read(source->arg, *offset, space, size, &len, err);
	if (r != OK)
		return r;
	if (!len || len > size)
		return fail(err, E_INTERNAL, "%s: the source of the body ended early", x->shown);
	ring_filled(&x->outgoing, len);
	*offset += (int64_t)len;
	if (atomic_exchange(&x->starved, false))
		exchange_post(x, OP_RESUME);
	return OK;
}

/* An answer that is no refusal, to half a body, is of no use: libcurl would wait for the
 * rest. */
static int check_early(struct http_exchange *x, enum http_failure *ret_failed, struct err *err)
{
	bool answered;

	pthread_mutex_lock(&x->mu);
	answered = x->answered;
	pthread_mutex_unlock(&x->mu);
	if (!answered || x->response.status >= 400)
		return OK;
	*ret_failed = HTTP_FAILED_BROKEN;
	return fail(err, E_REGISTRY, "%s: the server answered %d before it had the whole body", x->shown,
		    x->response.status);
}

int exchange_send(struct http_exchange *x, const struct http_source *source, struct cancel *cancel,
		  enum http_failure *ret_failed, struct err *err)
{
	int64_t offset = 0;

	*ret_failed = HTTP_FAILED_LOCAL;
	while (offset < source->length) {
		bool over = false;
		int r = await_room(x, cancel, &over, ret_failed, err);

		if (r == OK && over)
			return check_early(x, ret_failed, err);
		if (r == OK)
			r = put_piece(x, source, &offset, err);
		if (r != OK)
			return r;
	}
	return OK;
}
