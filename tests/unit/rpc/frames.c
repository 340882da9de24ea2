/* A client that speaks HTTP/2 frame by frame: what no client of gRPC lets a test choose. */
#include <sys/socket.h>
#include <sys/un.h>

#include "proto/runtime/buf.h"
#include "tests/unit/rpc/rig.h"

enum { DATA = 0, HEADERS = 1, SETTINGS = 4, PING = 6, GOAWAY = 7 };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };
enum { OUT_MAX = 1024, PING_BYTES = 8 };

struct frames {
	int fd;
	uint8_t ping[PING_BYTES];
};

static void put_frame(struct buf *b, size_t len, int type, int flags, uint32_t stream)
{
	uint8_t head[9] = { 0, (uint8_t)(len >> 8), (uint8_t)len, (uint8_t)type, (uint8_t)flags, 0, 0,
			    0, (uint8_t)stream };

	buf_append(b, head, sizeof head);
}

/* Literal, never indexed, no Huffman. */
static void put_field(struct buf *b, const char *name, const char *value)
{
	buf_putc(b, 0x10);
	buf_putc(b, (char)strlen(name));
	buf_puts(b, name);
	buf_putc(b, (char)strlen(value));
	buf_puts(b, value);
}

static void send_out(struct frames *f, const struct buf *b)
{
	assert_true(buf_ok(b));
	assert_int_equal(send(f->fd, b->data, b->len, MSG_NOSIGNAL), (ssize_t)b->len);
}

struct frames *frames_open(const char *address)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(OUT_MAX);
	struct frames *f = calloc(1, sizeof *f);
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	assert_non_null(f);
	snprintf(a.sun_path, sizeof a.sun_path, "%s", address + strlen("unix://"));
	f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(f->fd, (struct sockaddr *)&a, sizeof a), 0);
	buf_puts(&out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	put_frame(&out, 0, SETTINGS, 0, 0);
	send_out(f, &out);
	return f;
}

void frames_freep(struct frames **f)
{
	if (*f)
		close((*f)->fd);
	free(*f);
}

void frames_call(struct frames *f, uint32_t stream, const char *path)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(OUT_MAX), fields = BUF_INIT(OUT_MAX);

	put_field(&fields, ":method", "POST");
	put_field(&fields, ":scheme", "http");
	put_field(&fields, ":path", path);
	put_field(&fields, ":authority", "localhost");
	put_field(&fields, "te", "trailers");
	put_field(&fields, "content-type", "application/grpc");
	put_frame(&out, fields.len, HEADERS, END_HEADERS, stream);
	buf_append(&out, fields.data, fields.len);
	send_out(f, &out);
}

void frames_half_close(struct frames *f, uint32_t stream)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(OUT_MAX);

	put_frame(&out, 0, DATA, END_STREAM, stream);
	send_out(f, &out);
}

void frames_answer_ping(struct frames *f)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(OUT_MAX);

	put_frame(&out, PING_BYTES, PING, ACK, 0);
	buf_append(&out, f->ping, PING_BYTES);
	send_out(f, &out);
}

/* False when the connection is closed. */
static bool receive(struct frames *f, void *to, size_t len)
{
	return !len || recv(f->fd, to, len, MSG_WAITALL) == (ssize_t)len;
}

enum frames_event frames_next(struct frames *f, uint32_t *ret_stream)
{
	uint8_t head[9], body[65536];
	size_t len;

	while (receive(f, head, sizeof head)) {
		len = (size_t)head[1] << 8 | head[2];
		assert_true(head[0] == 0 && receive(f, body, len));
		*ret_stream = head[8];
		if (head[3] == HEADERS && head[4] & END_STREAM)
			return FRAMES_REPLIED;
		if (head[3] == GOAWAY)
			return FRAMES_GOAWAY;
		if (head[3] == PING && !(head[4] & ACK)) {
			memcpy(f->ping, body, PING_BYTES);
			return FRAMES_PING;
		}
	}
	return FRAMES_CLOSED;
}
