/* GetBuildLog. */
#include "service/image/image_service.h"
#include "store/cache/build_log.h"

enum {
	LENGTH_BYTES = 4,
	EVENT_BYTES_MAX = 4 * 1024 * 1024, /* what a message has at most */
	EVENT_ARENA = 64 * 1024 * 1024,
	READ_BYTES = 64 * 1024,
};

struct log_reader {
	int fd;
	struct buf bytes; /* read, and not sent yet from `at` on */
	size_t at;
};

static uint32_t length_at(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void drop_sent(struct log_reader *l)
{
	if (!l->at)
		return;
	memmove(l->bytes.data, l->bytes.data + l->at, l->bytes.len - l->at);
	l->bytes.len -= l->at;
	l->at = 0;
}

/* *ret_end: there is no more. */
static int read_more(struct log_reader *l, bool *ret_end, struct err *err)
{
	void *room;
	ssize_t n;

	drop_sent(l);
	room = buf_reserve(&l->bytes, READ_BYTES);
	if (!room)
		return fail_nomem(err);
	n = read(l->fd, room, READ_BYTES);
	if (n < 0)
		return fail_errno(err, "read the log of a build");
	l->bytes.len += (size_t)n;
	*ret_end = n == 0;
	return OK;
}

/* The next event whole; empty at the end, and at what is none: half of one may be last. */
static int next_event(struct log_reader *l, struct bytes *ret_event, struct err *err)
{
	bool end = false;
	int r = OK;

	*ret_event = (struct bytes){ 0 };
	while (r == OK && !end) {
		size_t left = l->bytes.len - l->at;
		uint32_t length = left < LENGTH_BYTES ? 0 : length_at(l->bytes.data + l->at);

		if (length > EVENT_BYTES_MAX)
			return OK;
		if (left >= LENGTH_BYTES && left - LENGTH_BYTES >= length) {
			*ret_event = (struct bytes){ l->bytes.data + l->at + LENGTH_BYTES, length };
			l->at += LENGTH_BYTES + length;
			return OK;
		}
		r = read_more(l, &end, err);
	}
	return r;
}

static int send_event(struct rpc_call *call, struct bytes event, struct arena *arena, struct err *err)
{
	Imaged__V1__BuildEvent *m;

	arena_reset(arena, EVENT_ARENA);
	m = imaged__v1__build_event__unpack(&arena->allocator, event.len, event.data);
	return m ? imaged__v1__image_service__get_build_log_send(call, m, err)
		 : fail(err, E_CORRUPT, "the log of the build is damaged");
}

static int send_log(struct rpc_call *call, struct log_reader *l, struct err *err)
{
	CLEANUP(arena_free) struct arena arena;
	int r = OK;

	arena_init(&arena, EVENT_ARENA);
	while (r == OK) {
		struct bytes event;

		r = next_event(l, &event, err);
		if (r != OK || !event.data)
			break;
		r = send_event(call, event, &arena, err);
	}
	return r;
}

static int open_log(struct store *s, const char *id, int *ret_fd, struct err *err)
{
	CLEANUP(arena_free) struct arena arena;
	Imaged__Store__V1__BuildRecord *record;
	int r;

	arena_init(&arena, EVENT_ARENA);
	r = build_record_get(s, id, &arena, &record, err);
	return r == OK ? build_log_open(s, record->id, ret_fd, err) : r;
}

int get_build_log(void *self, struct rpc_call *call, const Imaged__V1__GetBuildLogRequest *request, struct err *err)
{
	struct image_service *service = self;
	struct log_reader l = { .fd = -1, .bytes = BUF_INIT(EVENT_BYTES_MAX + LENGTH_BYTES + READ_BYTES) };
	int r = open_log(service->store, request->id, &l.fd, err);

	if (r != OK)
		return r;
	r = admission_enter(&service->watches, WATCHES_MAX, "clients watch", err);
	if (r == OK) {
		r = send_log(call, &l, err);
		admission_leave(&service->watches);
	}
	buf_free(&l.bytes);
	close(l.fd);
	return r;
}
