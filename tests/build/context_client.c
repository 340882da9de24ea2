/*
 * context_client [-i IGNOREFILE] [-a] ADDRESS CONTEXT [STEP=PATH…]: what imagectl does with
 * the context of a build, against context_server. CONTEXT is a directory, with -a "-" for an
 * archive on standard input, or a URL. Prints one JSON object: the answers, and what was sent.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "client/cli/build/context_id.h"
#include "client/cli/build/context_upload.h"
#include "imaged/v1/image_service.client.h"
#include "proto/runtime/clock.h"

enum { STEPS_MAX = 64 };

typedef struct imaged__v1__image_service__build_stream stream;

struct client {
	const char *address, *context;
	bool is_archive;
	struct ignore ignore;
	struct arena memory;
	struct listing listing;
	struct input archive;
	struct digest id;
	struct upload_source source;
	struct context_upload upload;
	stream *stream;
	int64_t walk_us;
	unsigned lists, files;
};

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

static int send(void *s, const Imaged__V1__BuildRequest *m, struct err *err)
{
	return imaged__v1__image_service__build_write(s, m, err);
}

static void cancel(void *s)
{
	imaged__v1__image_service__build_cancel(s);
}

static int open_directory(struct client *c, struct err *err)
{
	int64_t begin = now_us();
	int r = listing_make(c->context, c->ignore.n ? &c->ignore : NULL, &c->listing, err);

	c->walk_us = now_us() - begin;
	c->source.listing = &c->listing;
	return r == OK ? context_id(c->context, &c->id, err) : r;
}

static bool is_url(const struct client *c)
{
	return strstr(c->context, "://") != NULL;
}

static int open_context(struct client *c, struct err *err)
{
	c->source.name = "";
	if (c->is_archive) {
		c->source.archive = &c->archive;
		return input_open(NULL, &c->archive, err);
	}
	return is_url(c) ? OK : open_directory(c, err);
}

static int send_start(struct client *c, char **steps, int n, struct err *err)
{
	Imaged__V1__BuildRequest m = IMAGED__V1__BUILD_REQUEST__INIT;
	Imaged__V1__BuildStart start = IMAGED__V1__BUILD_START__INIT;
	Imaged__V1__BuildContext context = IMAGED__V1__BUILD_CONTEXT__INIT;
	Imaged__V1__ClientDirectory directory = IMAGED__V1__CLIENT_DIRECTORY__INIT;
	Imaged__V1__ClientArchive archive = IMAGED__V1__CLIENT_ARCHIVE__INIT;
	Imaged__V1__BuildArgument arguments[STEPS_MAX], *pointers[STEPS_MAX];

	for (int i = 0; i < n; i++) {
		char *equals = strchr(steps[i], '=');

		imaged__v1__build_argument__init(&arguments[i]);
		*equals = 0;
		arguments[i].name = steps[i];
		arguments[i].value = equals + 1;
		pointers[i] = &arguments[i];
	}
	start.arguments = pointers;
	start.n_arguments = (size_t)n;
	start.context = &context;
	directory.id = (ProtobufCBinaryData){ 32, c->id.bytes };
	directory.list_digest = (ProtobufCBinaryData){ 32, c->listing.digest.bytes };
	if (c->is_archive) {
		context.source_case = IMAGED__V1__BUILD_CONTEXT__SOURCE_ARCHIVE;
		context.archive = &archive;
	} else if (is_url(c)) {
		context.source_case = IMAGED__V1__BUILD_CONTEXT__SOURCE_URL;
		context.url = (char *)c->context;
	} else {
		context.source_case = IMAGED__V1__BUILD_CONTEXT__SOURCE_DIRECTORY;
		context.directory = &directory;
	}
	m.request_case = IMAGED__V1__BUILD_REQUEST__REQUEST_START;
	m.start = &start;
	return send(c->stream, &m, err);
}

static void print_done(struct client *c, const Imaged__V1__BuildDone *done)
{
	printf("{\"answers\":%s,\"lists\":%u,\"files\":%u,\"bytes\":%lld,\"entries\":%zu,\"walk_us\":%lld}\n",
	       done->metadata_json, c->lists, c->files, (long long)context_upload_bytes(&c->upload), c->listing.n,
	       (long long)c->walk_us);
}

static int on_event(struct client *c, const Imaged__V1__BuildEvent *m, bool *ret_done, struct err *err)
{
	bool taken;
	int r = context_upload_take(&c->upload, m, &taken, err);

	c->lists += m->event_case == IMAGED__V1__BUILD_EVENT__EVENT_WANT_LIST;
	if (m->event_case == IMAGED__V1__BUILD_EVENT__EVENT_WANT_FILES)
		c->files += (unsigned)m->want_files->n_files;
	*ret_done = m->event_case == IMAGED__V1__BUILD_EVENT__EVENT_DONE;
	if (*ret_done)
		print_done(c, m->done);
	return r;
}

static int follow(struct client *c, struct err *err)
{
	const Imaged__V1__BuildEvent *m;
	bool done = false;
	int r = OK;

	while (r == OK && !done) {
		r = imaged__v1__image_service__build_next(c->stream, &m, err);
		if (r == 0)
			return fail(err, E_INTERNAL, "the build ended without a result");
		r = r < 0 ? r : on_event(c, m, &done, err);
	}
	return r;
}

static int run(struct client *c, char **steps, int n, struct err *err)
{
	struct rpc_channel *channel = NULL;
	struct err own = ERR_INIT;
	int r = open_context(c, err);

	if (r == OK)
		r = rpc_channel_open(&(struct rpc_channel_options){ .address = c->address }, &channel, err);
	if (r == OK)
		r = imaged__v1__image_service__open_build(channel, NULL, &c->stream, err);
	if (r == OK)
		r = send_start(c, steps, n, err);
	c->upload = (struct context_upload){ .sources = &c->source,
					     .n_sources = 1,
					     .quiet_ms = UPLOAD_QUIET_MS,
					     .stream = c->stream,
					     .send = send,
					     .cancel = cancel };
	if (r == OK)
		r = context_upload_start(&c->upload, err);
	if (r == OK)
		r = follow(c, err);
	context_upload_end(&c->upload, &own);
	if (own.code != OK)
		*err = own;
	imaged__v1__image_service__build_free(c->stream);
	rpc_channel_close(channel);
	return own.code != OK ? own.code : r;
}

static int read_ignore(struct client *c, const char *path, struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(IGNORE_FILE_MAX);
	FILE *f = fopen(path, "re");
	char *copy;
	int byte;

	if (!f)
		return fail_errno(err, "open %s", path);
	while ((byte = getc(f)) != EOF)
		buf_putc(&text, (char)byte);
	fclose(f);
	copy = arena_bytes(&c->memory, buf_bytes(&text));
	return copy ? ignore_parse((struct bytes){ (uint8_t *)copy, text.len }, &c->memory, &c->ignore, err)
		    : fail_nomem(err);
}

int main(int argc, char **argv)
{
	struct client c = { .listing = LISTING_INIT, .archive = INPUT_INIT };
	struct err err = ERR_INIT;
	int option, r = OK;

	arena_init(&c.memory, 64 << 20);
	while (r == OK && (option = getopt(argc, argv, "ai:")) != -1) {
		c.is_archive |= option == 'a';
		if (option == 'i')
			r = read_ignore(&c, optarg, &err);
	}
	if (argc - optind < 2 || argc - optind - 2 > STEPS_MAX)
		return 64;
	c.address = argv[optind];
	c.context = argv[optind + 1];
	if (r == OK)
		r = run(&c, argv + optind + 2, argc - optind - 2, &err);
	listing_free(&c.listing);
	input_close(&c.archive);
	arena_free(&c.memory);
	if (r < 0)
		fprintf(stderr, "%s\n", err.text);
	return r < 0;
}
