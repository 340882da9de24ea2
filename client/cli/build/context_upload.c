#include "client/cli/build/context_upload.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "client/cli/build/file_reader.h"
#include "client/cli/build/send_list.h"
#include "client/cli/file_error.h"
#include "client/cli/upload.h"
#include "proto/runtime/clock.h"

struct upload_order {
	struct upload_order *next;
	const struct upload_source *source;
	enum { ORDER_LIST, ORDER_FILES, ORDER_ARCHIVE } what;
	size_t n;
	uint32_t files[];
};

static int send(struct context_upload *u, const Imaged__V1__BuildRequest *m, struct err *err)
{
	return u->send(u->stream, m, err);
}

static void count(struct context_upload *u, size_t bytes)
{
	pthread_mutex_lock(&u->mu);
	u->bytes += (int64_t)bytes;
	pthread_mutex_unlock(&u->mu);
}

/* ---- files ----------------------------------------------------------------------------- */

static int send_batch(struct context_upload *u, const struct upload_source *source, const struct file_batch *b,
		      struct err *err)
{
	Imaged__V1__BuildRequest m = IMAGED__V1__BUILD_REQUEST__INIT;
	Imaged__V1__ContextData data = IMAGED__V1__CONTEXT_DATA__INIT;

	data.context = (char *)source->name;
	data.pieces = (Imaged__V1__FilePiece **)b->pointers;
	data.n_pieces = b->n;
	m.request_case = IMAGED__V1__BUILD_REQUEST__REQUEST_DATA;
	m.data = &data;
	count(u, b->used);
	return send(u, &m, err);
}

static int send_files(struct context_upload *u, const struct upload_order *o, struct err *err)
{
	const struct file_batch *b;
	struct file_reader reader;
	int r = file_reader_start(&reader, o->source->listing, o->files, o->n, err);

	if (r != OK)
		return r;
	while (r == OK && (b = file_reader_next(&reader)))
		r = send_batch(u, o->source, b, err);
	file_reader_end(&reader);
	return r;
}

/* ---- an archive -------------------------------------------------------------------------- */

static int send_piece(struct context_upload *u, const struct upload_source *source, size_t len, const char *failed,
		      struct err *err)
{
	Imaged__V1__BuildRequest m = IMAGED__V1__BUILD_REQUEST__INIT;
	Imaged__V1__ArchiveData data = IMAGED__V1__ARCHIVE_DATA__INIT;

	data.context = (char *)source->name;
	data.data = (ProtobufCBinaryData){ len, (uint8_t *)source->archive->piece };
	data.end = !len && !failed;
	data.failed = (char *)(failed ? failed : "");
	m.request_case = IMAGED__V1__BUILD_REQUEST__REQUEST_ARCHIVE;
	m.archive = &data;
	count(u, len);
	return send(u, &m, err);
}

static int send_still_there(struct context_upload *u, struct err *err)
{
	Imaged__V1__BuildRequest m = IMAGED__V1__BUILD_REQUEST__INIT;

	return send(u, &m, err);
}

/* 1 when there is something to read, or the end of it; 0 after a silence. */
static int wait_input(const struct context_upload *u, const struct input *in, struct err *err)
{
	struct pollfd fds[] = { { .fd = in->fd, .events = POLLIN }, { .fd = u->over, .events = POLLIN } };
	int n;

	do
		n = poll(fds, ARRAY_LEN(fds), u->quiet_ms);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail_file(err, "read", in->name);
	return fds[1].revents ? fail(err, E_ABORTED, "the call is over") : n > 0;
}

static int send_archive(struct context_upload *u, const struct upload_source *source, struct err *err)
{
	struct err why = ERR_INIT;
	size_t len = 1;
	int r = OK;

	while (r == OK && len) {
		int readable = wait_input(u, source->archive, err);

		if (readable < 0)
			return readable;
		if (!readable)
			r = send_still_there(u, err);
		else if (input_read(source->archive, -1, INPUT_PIECE_BYTES, &len, &why) < 0)
			return send_piece(u, source, 0, why.text, err);
		else
			r = send_piece(u, source, len, NULL, err);
	}
	return r;
}

/* ---- the thread ---------------------------------------------------------------------------- */

static int send_order(struct context_upload *u, const struct upload_order *o, struct err *err)
{
	switch (o->what) {
	case ORDER_LIST:
		return send_list(o->source->listing, o->source->name, u->send, u->stream, err);
	case ORDER_FILES:
		return send_files(u, o, err);
	case ORDER_ARCHIVE:
		return send_archive(u, o->source, err);
	default:
		return fail(err, E_INTERNAL, "unknown order");
	}
}

/* The next order; NULL after a silence, and at the end. */
static struct upload_order *next_order(struct context_upload *u, bool *ret_ended)
{
	struct timespec until = clock_deadline(u->quiet_ms);
	struct upload_order *o;
	int rc = 0;

	pthread_mutex_lock(&u->mu);
	while (!u->first && !u->ended && !rc)
		rc = pthread_cond_timedwait(&u->changed, &u->mu, &until);
	o = u->ended ? NULL : u->first;
	if (o) {
		u->first = o->next;
		if (!u->first)
			u->last = NULL;
	}
	*ret_ended = u->ended;
	pthread_mutex_unlock(&u->mu);
	return o;
}

static void *run(void *upload)
{
	struct context_upload *u = upload;
	bool ended = false;
	int r = OK;

	while (r == OK && !ended) {
		struct upload_order *o = next_order(u, &ended);

		if (o)
			r = send_order(u, o, &u->own);
		else if (!ended)
			r = send_still_there(u, &u->own);
		free(o);
	}
	if (is_own_failure(&u->own))
		u->cancel(u->stream);
	return NULL;
}

int context_upload_start(struct context_upload *u, struct err *err)
{
	u->over = eventfd(0, EFD_CLOEXEC);
	if (u->over < 0)
		return fail_errno(err, "make an eventfd");
	pthread_mutex_init(&u->mu, NULL);
	cond_init_monotonic(&u->changed);
	errno = pthread_create(&u->thread, NULL, run, u);
	u->running = !errno;
	if (u->running)
		return OK;
	close(u->over);
	return fail_errno(err, "start a thread");
}

static void free_orders(struct upload_order *o)
{
	while (o) {
		struct upload_order *next = o->next;

		free(o);
		o = next;
	}
}

void context_upload_end(struct context_upload *u, struct err *own)
{
	if (!u->running)
		return;
	pthread_mutex_lock(&u->mu);
	u->ended = true;
	pthread_cond_broadcast(&u->changed);
	pthread_mutex_unlock(&u->mu);
	eventfd_write(u->over, 1);
	u->cancel(u->stream); /* a send may wait for a service that reads no more */
	pthread_join(u->thread, NULL);
	close(u->over);
	free_orders(u->first);
	pthread_mutex_destroy(&u->mu);
	pthread_cond_destroy(&u->changed);
	u->running = false;
	if (is_own_failure(&u->own))
		*own = u->own;
}

int64_t context_upload_bytes(struct context_upload *u)
{
	int64_t bytes;

	pthread_mutex_lock(&u->mu);
	bytes = u->bytes;
	pthread_mutex_unlock(&u->mu);
	return bytes;
}

/* ---- orders ----------------------------------------------------------------------------------- */

static const struct upload_source *find(const struct context_upload *u, const char *name)
{
	for (size_t i = 0; i < u->n_sources; i++)
		if (!strcmp(u->sources[i].name, name))
			return &u->sources[i];
	return NULL;
}

static bool are_files(const struct listing *l, const Imaged__V1__WantFiles *want)
{
	for (size_t i = 0; i < want->n_files; i++)
		if (want->files[i] >= l->n || !S_ISREG(l->entries[want->files[i]].mode))
			return false;
	return true;
}

static bool is_possible(const struct upload_source *source, const Imaged__V1__BuildEvent *event)
{
	if (!source)
		return false;
	switch (event->event_case) {
	case IMAGED__V1__BUILD_EVENT__EVENT_WANT_LIST:
		return source->listing != NULL;
	case IMAGED__V1__BUILD_EVENT__EVENT_WANT_FILES:
		return source->listing && are_files(source->listing, event->want_files);
	default:
		return source->archive != NULL;
	}
}

static void append(struct context_upload *u, struct upload_order *o)
{
	pthread_mutex_lock(&u->mu);
	if (u->last)
		u->last->next = o;
	else
		u->first = o;
	u->last = o;
	pthread_cond_broadcast(&u->changed);
	pthread_mutex_unlock(&u->mu);
}

static int order(struct context_upload *u, const char *name, int what, const Imaged__V1__BuildEvent *event,
		 struct err *err)
{
	const struct upload_source *source = find(u, name);
	const Imaged__V1__WantFiles *want = what == ORDER_FILES ? event->want_files : NULL;
	size_t n = want ? want->n_files : 0;
	struct upload_order *o;

	if (!is_possible(source, event))
		return fail(err, E_INTERNAL, "the service asked for what build context \"%s\" has not", name);
	o = calloc(1, sizeof *o + n * sizeof *o->files);
	if (!o)
		return fail_nomem(err);
	o->source = source;
	o->what = what;
	o->n = n;
	if (n)
		memcpy(o->files, want->files, n * sizeof *o->files);
	append(u, o);
	return OK;
}

int context_upload_take(struct context_upload *u, const Imaged__V1__BuildEvent *event, bool *ret_taken, struct err *err)
{
	*ret_taken = true;
	switch (event->event_case) {
	case IMAGED__V1__BUILD_EVENT__EVENT_WANT_LIST:
		return order(u, event->want_list->context, ORDER_LIST, event, err);
	case IMAGED__V1__BUILD_EVENT__EVENT_WANT_FILES:
		return order(u, event->want_files->context, ORDER_FILES, event, err);
	case IMAGED__V1__BUILD_EVENT__EVENT_WANT_ARCHIVE:
		return order(u, event->want_archive->context, ORDER_ARCHIVE, event, err);
	default:
		*ret_taken = false;
		return OK;
	}
}
