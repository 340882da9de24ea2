#include "tests/unit/registry/http_rig.h"

struct http_rig http_rig_start(fake_handler *handler, const void *arg, struct http_options o)
{
	struct http_rig r = { 0 };

	if (!o.connect_timeout_ms)
		o.connect_timeout_ms = 5000;
	assert_ok(http_client_new(&o, &r.client, &r.err), &r.err);
	r.fake = fake_start(FAKE_PLAIN, handler, (void *)(uintptr_t)arg);
	return r;
}

void http_rig_stop(struct http_rig *r)
{
	http_client_free(r->client);
	fake_stop(r->fake);
}

int open_with(struct http_rig *r, struct http_request q, const char *path, struct cancel *cancel,
	      struct http_exchange **ret)
{
	CLEANUP(freep) char *url = format("http://%s%s", fake_authority(r->fake), path);

	q.url = url;
	if (!q.method)
		q.method = "GET";
	q.ret_failure = &r->failed;
	return http_open(r->client, &q, cancel, ret, &r->err);
}

struct http_exchange *opened(struct http_rig *r, const char *path)
{
	struct http_exchange *x = NULL;

	assert_ok(open_with(r, (struct http_request){ 0 }, path, NULL, &x), &r->err);
	return x;
}

int body_of(struct http_rig *r, struct http_exchange *x, struct buf *b)
{
	return http_body(x, b, NULL, &r->err);
}

/* ---- handlers -------------------------------------------------------------- */

void hello(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	(void)arg;
	fake_text(c, q, 200, "X-One:  1 \r\nx-two: a\r\nX-TWO: b\r\n", "hello");
}

void big(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	static uint8_t data[BIG];

	(void)arg;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 31 + (i >> 13));
	fake_reply(c, q, 200, "", data, sizeof data);
}

void say(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	(void)q;
	fake_puts(c, arg);
	fake_hang_up(c);
}

void say_and_stall(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	(void)q;
	fake_puts(c, arg);
	fake_stall(c);
}

atomic_size_t endless_sent;

void endless(struct fake_conn *c, const struct fake_request *q, void *arg)
{
	static const char data[64 * 1024] = { 0 };

	(void)q;
	(void)arg;
	atomic_store(&endless_sent, 0);
	fake_puts(c, "HTTP/1.1 200 OK\r\n\r\n");
	while (fake_send(c, data, sizeof data))
		atomic_fetch_add(&endless_sent, sizeof data);
}
