/*
 * Load of unary calls on one connection, for any gRPC server on a unix socket.
 *
 *   bench_unary SOCKET METHOD OUTSTANDING SECONDS [TEXT]
 *
 * The message has TEXT in field 1, or, with an empty one, nothing in it.
 *
 * Speaks just enough HTTP/2 to be cheap: each request is the same bytes (literal
 * header fields, one DATA frame), of the answers only the frame headers are read.
 * So what is measured is the server, and every server gets the same load. A call
 * counts when it brought a message and ended; an answer without one is a failure.
 * Prints calls per second, median and 99th percentile of the time to answer.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "proto/runtime/buf.h"

enum { OUTSTANDING_MAX = 1024, SAMPLES_MAX = 8 * 1000 * 1000, WARM_UP = 10, IN_BYTES = 256 * 1024, TEXT_MAX = 127 };
enum { FRAME_HEADER = 9, DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PING = 6, GOAWAY = 7, WINDOW_UPDATE = 8 };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, INITIAL_WINDOW_SIZE = 4, LAST_STREAM = 0x7ffffff0 };
/* An answer is not waited for in parts; what all of them may send ahead, and then again. */
enum { ANSWER_MAX = 1 << 24, WINDOW_STEP = 1 << 20 };

struct load {
	int fd;
	struct buf headers; /* the header block of every request */
	struct buf message; /* behind gRPC's five bytes */
	struct buf out;
	uint8_t *in;
	size_t in_len;
	uint32_t next_stream;
	uint32_t stream[OUTSTANDING_MAX]; /* the calls in flight; 0: none in this slot */
	int64_t started[OUTSTANDING_MAX];
	bool answered[OUTSTANDING_MAX];
	unsigned outstanding, running, failed;
	size_t unacknowledged;
	int64_t begin, end;
	uint32_t *samples;
	size_t n;
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- out ---- */

static void put_u32(struct buf *b, uint32_t v)
{
	uint8_t bytes[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

	buf_append(b, bytes, sizeof bytes);
}

static void put_frame(struct buf *b, size_t len, int type, int flags, uint32_t stream)
{
	uint8_t head[5] = { (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len, (uint8_t)type, (uint8_t)flags };

	buf_append(b, head, sizeof head);
	put_u32(b, stream);
}

/* Literal, never indexed, no Huffman: each block stands alone. */
static void put_field(struct buf *b, const char *name, const char *value)
{
	buf_putc(b, 0x10);
	buf_putc(b, (char)strlen(name));
	buf_puts(b, name);
	buf_putc(b, (char)strlen(value));
	buf_puts(b, value);
}

static void put_message(struct buf *b, const char *text)
{
	size_t len = strlen(text);

	buf_putc(b, 0);
	put_u32(b, len ? (uint32_t)len + 2 : 0);
	if (!len)
		return;
	buf_putc(b, 0x0a);
	buf_putc(b, (char)len);
	buf_puts(b, text);
}

static void put_request(struct load *l, unsigned slot)
{
	uint32_t stream = l->next_stream;

	l->next_stream += 2;
	l->stream[slot] = stream;
	l->answered[slot] = false;
	l->started[slot] = now_ns();
	put_frame(&l->out, l->headers.len, HEADERS, END_HEADERS, stream);
	buf_append(&l->out, l->headers.data, l->headers.len);
	put_frame(&l->out, l->message.len, DATA, END_STREAM, stream);
	buf_append(&l->out, l->message.data, l->message.len);
	l->running++;
}

static void flush(struct load *l)
{
	size_t sent = 0;

	while (sent < l->out.len) {
		ssize_t n = send(l->fd, l->out.data + sent, l->out.len - sent, MSG_NOSIGNAL);

		if (n < 0) {
			perror("bench_unary: send");
			exit(1);
		}
		sent += (size_t)n;
	}
	buf_reset(&l->out);
}

/* ---- in ---- */

static unsigned slot_of(const struct load *l, uint32_t stream)
{
	unsigned slot = 0;

	while (slot < l->outstanding && l->stream[slot] != stream)
		slot++;
	if (slot == l->outstanding) {
		fprintf(stderr, "bench_unary: an answer to nothing\n");
		exit(1);
	}
	return slot;
}

static void call_ended(struct load *l, uint32_t stream)
{
	unsigned slot = slot_of(l, stream);
	int64_t now = now_ns();

	l->running--;
	l->stream[slot] = 0;
	if (!l->answered[slot])
		l->failed++;
	else if (now >= l->begin && now < l->end && l->n < SAMPLES_MAX)
		l->samples[l->n++] = (uint32_t)((now - l->started[slot]) / 1000);
	if (now < l->end && !l->failed && l->next_stream < LAST_STREAM)
		put_request(l, slot);
}

static void data_arrived(struct load *l, uint32_t stream, size_t len)
{
	l->answered[slot_of(l, stream)] = len > 0;
	l->unacknowledged += len;
	if (l->unacknowledged < WINDOW_STEP / 2)
		return;
	put_frame(&l->out, 4, WINDOW_UPDATE, 0, 0);
	put_u32(&l->out, (uint32_t)l->unacknowledged);
	l->unacknowledged = 0;
}

static void frame_arrived(struct load *l, int type, int flags, uint32_t stream, const uint8_t *payload, size_t len)
{
	switch (type) {
	case DATA:
		data_arrived(l, stream, len);
		break;
	case SETTINGS:
		if (!(flags & ACK))
			put_frame(&l->out, 0, SETTINGS, ACK, 0);
		return;
	case PING:
		if (!(flags & ACK)) {
			put_frame(&l->out, len, PING, ACK, 0);
			buf_append(&l->out, payload, len);
		}
		return;
	case GOAWAY:
		fprintf(stderr, "bench_unary: the server ends the connection\n");
		exit(1);
	case RST_STREAM: /* Go sends one behind an answer that it ended early */
		return;
	default:
		break;
	}
	if ((type == DATA || type == HEADERS) && flags & END_STREAM)
		call_ended(l, stream);
}

static uint32_t get_u(const uint8_t *p, unsigned n)
{
	uint32_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

static void take_frames(struct load *l)
{
	size_t at = 0;

	while (l->in_len - at >= FRAME_HEADER) {
		const uint8_t *head = l->in + at;
		size_t len = get_u(head, 3);

		if (len + FRAME_HEADER > IN_BYTES) {
			fprintf(stderr, "bench_unary: a frame is too large\n");
			exit(1);
		}
		if (l->in_len - at < FRAME_HEADER + len)
			break;
		frame_arrived(l, head[3], head[4], get_u(head + 5, 4) & 0x7fffffff, head + FRAME_HEADER, len);
		at += FRAME_HEADER + len;
	}
	memmove(l->in, l->in + at, l->in_len - at);
	l->in_len -= at;
}

static void drive(struct load *l)
{
	for (unsigned slot = 0; slot < l->outstanding; slot++)
		put_request(l, slot);
	while (l->running) {
		ssize_t n;

		flush(l);
		n = recv(l->fd, l->in + l->in_len, IN_BYTES - l->in_len, 0);
		if (n <= 0) {
			fprintf(stderr, "bench_unary: the connection broke\n");
			exit(1);
		}
		l->in_len += (size_t)n;
		take_frames(l);
	}
}

/* ---- the rest ---- */

static void open_connection(struct load *l, const char *path, const char *method)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l->fd < 0 || connect(l->fd, (struct sockaddr *)&a, sizeof a) < 0) {
		perror("bench_unary: connect");
		exit(1);
	}
	put_field(&l->headers, ":method", "POST");
	put_field(&l->headers, ":scheme", "http");
	put_field(&l->headers, ":path", method);
	put_field(&l->headers, ":authority", "localhost");
	put_field(&l->headers, "te", "trailers");
	put_field(&l->headers, "content-type", "application/grpc");
	put_field(&l->headers, "user-agent", "bench");
	buf_puts(&l->out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	put_frame(&l->out, 6, SETTINGS, 0, 0);
	buf_append(&l->out, (const uint8_t[]){ 0, INITIAL_WINDOW_SIZE }, 2);
	put_u32(&l->out, ANSWER_MAX);
	put_frame(&l->out, 4, WINDOW_UPDATE, 0, 0);
	put_u32(&l->out, WINDOW_STEP);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void report(struct load *l, double seconds)
{
	qsort(l->samples, l->n, sizeof *l->samples, compare);
	printf("%.0f calls/s, median %u us, 99th percentile %u us\n", (double)l->n / seconds,
	       l->n ? l->samples[l->n / 2] : 0, l->n ? l->samples[l->n * 99 / 100] : 0);
}

int main(int argc, char **argv)
{
	static struct load l = {
		.headers = BUF_INIT(1024), .message = BUF_INIT(256), .out = BUF_INIT(1 << 20), .next_stream = 1
	};
	bool counted = argc == 5 || argc == 6;
	const char *text = argc == 6 ? argv[5] : "twenty-three characters";
	double seconds = counted ? strtod(argv[4], NULL) : 0;
	unsigned long outstanding = counted ? strtoul(argv[3], NULL, 10) : 0;

	if (!outstanding || outstanding > OUTSTANDING_MAX || seconds <= 0 || strlen(text) > TEXT_MAX) {
		fprintf(stderr, "usage: bench_unary SOCKET METHOD OUTSTANDING SECONDS [TEXT]\n");
		return 2;
	}
	l.outstanding = (unsigned)outstanding;
	l.samples = calloc(SAMPLES_MAX, sizeof *l.samples);
	l.in = malloc(IN_BYTES);
	if (!l.samples || !l.in)
		return 2;
	put_message(&l.message, text);
	open_connection(&l, argv[1], argv[2]);
	l.begin = now_ns() + (int64_t)(seconds * 1e9) / WARM_UP;
	l.end = l.begin + (int64_t)(seconds * 1e9);
	drive(&l);
	if (l.failed)
		fprintf(stderr, "bench_unary: a call failed\n");
	else
		report(&l, seconds);
	close(l.fd);
	return l.failed ? 1 : 0;
}
