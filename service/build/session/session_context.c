#include "service/build/session/session.h"

#include <sys/stat.h>

#include "service/build/context/context_git.h"
#include "service/build/context/context_url.h"
#include "service/build/session/transfer_size.h"
#include "service/registry/url.h"

enum { NS_PER_S = 1000000000 };

/* ---- what the client says ----------------------------------------------------------- */

/* Behind the prefix, or NULL. */
static const char *behind(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) ? NULL : text + len;
}

/* NAME[:TAG][@DIGEST] */
static int open_layout(struct session *s, struct session_context *c, const char *text, struct err *err)
{
	struct bytes name = bytes_of(text);
	size_t at = bytes_find(name, '@'), colon;

	c->digest = at < name.len ? text + at + 1 : "";
	name = bytes_first(name, at);
	colon = bytes_find(name, ':');
	c->tag = arena_bytes(&s->arena, bytes_from(name, colon + (colon < name.len)));
	c->target = arena_bytes(&s->arena, bytes_first(name, colon));
	c->kind = SESSION_CONTEXT_LAYOUT;
	return c->tag && c->target ? OK : fail_nomem(err);
}

static int open_url(struct session *s, struct session_context *c, const char *url, struct err *err)
{
	const char *rest = behind(url, "docker-image://");
	int r;

	if (rest) {
		c->kind = SESSION_CONTEXT_IMAGE;
		c->target = rest;
		return OK;
	}
	rest = behind(url, "oci-layout://");
	if (rest)
		return open_layout(s, c, rest, err);
	if (behind(url, "target:"))
		return fail(err, E_UNSUPPORTED,
			    "context %.128s: \"%.256s\" names a target of a file of several builds; "
			    "build that target first and name its image",
			    c->name, url);
	r = git_ref_parse(url, &s->arena, &c->git, err);
	if (r < 0)
		return r;
	c->kind = r ? SESSION_CONTEXT_GIT : SESSION_CONTEXT_HTTP;
	if (r || behind(url, "http://") || behind(url, "https://"))
		return OK;
	return fail(err, E_INVALID, "unsupported context source %.256s for %s", url, *c->name ? c->name : "context");
}

static int want_list(void *session, const char *context, struct err *err)
{
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;
	Imaged__V1__WantList want = IMAGED__V1__WANT_LIST__INIT;

	want.context = (char *)context;
	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_WANT_LIST;
	event.want_list = &want;
	return session_send(session, &event, err);
}

static int want_files(void *session, const char *context, const uint32_t *files, size_t n, struct err *err)
{
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;
	Imaged__V1__WantFiles want = IMAGED__V1__WANT_FILES__INIT;

	want.context = (char *)context;
	want.files = (uint32_t *)files;
	want.n_files = n;
	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_WANT_FILES;
	event.want_files = &want;
	return session_send(session, &event, err);
}

static int want_archive(struct session *s, struct session_context *c, struct err *err)
{
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;
	Imaged__V1__WantArchive want = IMAGED__V1__WANT_ARCHIVE__INIT;

	want.context = (char *)c->name;
	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_WANT_ARCHIVE;
	event.want_archive = &want;
	atomic_store(&c->asked, true);
	return session_send(s, &event, err);
}

static int open_source(struct session *s, struct session_context *c, struct err *err)
{
	const struct build_context_peer peer = { want_list, want_files, s };
	const Imaged__V1__BuildContext *m = c->message;

	switch (m->source_case) {
	case IMAGED__V1__BUILD_CONTEXT__SOURCE_DIRECTORY:
		c->kind = SESSION_CONTEXT_DIRECTORY;
		return build_context_open_directory(s->service->build.contexts, c->name, m->directory, &peer, &c->files,
						    err);
	case IMAGED__V1__BUILD_CONTEXT__SOURCE_ARCHIVE:
		c->kind = SESSION_CONTEXT_ARCHIVE;
		archive_feed_init(&c->feed, s->cancel);
		return OK;
	case IMAGED__V1__BUILD_CONTEXT__SOURCE_URL:
		return open_url(s, c, m->url, err);
	default:
		c->kind = SESSION_CONTEXT_NONE;
		return OK;
	}
}

static int open_one(struct session *s, const Imaged__V1__BuildContext *m, struct err *err)
{
	struct session_context *c = &s->contexts[s->n_contexts];

	*c = (struct session_context){ .message = m, .name = m->name, .target = "", .digest = "", .tag = "" };
	c->dockerfile = (struct buf)BUF_INIT(DOCKERFILE_BYTES_MAX);
	s->n_contexts++;
	if (m->ignore.len > IGNORE_FILE_MAX)
		return fail(err, E_LIMIT, "%.256s has more than %d bytes", m->ignore_name, IGNORE_FILE_MAX);
	if (ignore_parse((struct bytes){ m->ignore.data, m->ignore.len }, &s->arena, &c->ignore, err) < 0)
		return err->code;
	return open_source(s, c, err);
}

int session_contexts_open(struct session *s, struct err *err)
{
	const Imaged__V1__BuildStart *start = s->start;

	s->contexts = calloc(start->n_named_contexts + 1, sizeof *s->contexts);
	if (!s->contexts)
		return fail_nomem(err);
	if (start->context && open_one(s, start->context, err) < 0)
		return err->code;
	for (size_t i = 0; i < start->n_named_contexts; i++)
		if (open_one(s, start->named_contexts[i], err) < 0)
			return err->code;
	return OK;
}

/* ---- the end -------------------------------------------------------------------------- */

void session_contexts_fail(struct session *s, const struct err *why)
{
	for (size_t i = 0; i < s->n_contexts; i++) {
		struct session_context *c = &s->contexts[i];

		if (c->kind == SESSION_CONTEXT_ARCHIVE)
			archive_feed_fail(&c->feed, why);
		else if (c->kind == SESSION_CONTEXT_DIRECTORY)
			build_context_fail(c->files, why);
	}
}

/* What cannot be made durable is sent again the next time. */
static void close_files(void *files)
{
	build_context_close(files, NULL);
}

void session_contexts_close(struct session *s)
{
	for (size_t i = 0; i < s->n_contexts; i++) {
		struct session_context *c = &s->contexts[i];

		if (c->kind == SESSION_CONTEXT_ARCHIVE)
			archive_feed_free(&c->feed);
		if (c->files)
			rpc_call_defer(s->call, close_files, c->files, NULL);
		buf_free(&c->dockerfile);
	}
	free(s->contexts);
	s->contexts = NULL;
	s->n_contexts = 0;
}

/* ---- its files -------------------------------------------------------------------------- */

static int load_directory(struct session *s, struct session_context *c, struct err *err)
{
	int r = build_context_begin(c->files, err);

	return r == OK ? build_context_wait(c->files, s->cancel, err) : r;
}

static int load_archive(struct session *s, struct session_context *c, const struct context_archive *archive,
			struct err *err)
{
	const struct archive_reader from = archive_feed_reader(&c->feed);
	int r = want_archive(s, c, err);

	if (r == OK)
		r = context_archive_read(archive, &from, &c->dockerfile, &c->files, err);
	archive_feed_close(&c->feed);
	return r;
}

static int load_git(struct session_context *c, struct context_archive *archive, struct err *err)
{
	const struct context_git git = {
		.remote = c->git.remote,
		.ref = c->git.ref,
		.checksum = c->git.checksum,
		.without_submodules = c->git.submodules == OFF,
	};
	struct context_git_result result;
	int r;

	archive->subdir = c->git.subdir;
	r = context_git_read(&git, archive, &result, &c->files, err);
	if (r == OK && context_list_count(build_context_list(c->files)))
		c->commit_s = context_list_entry(build_context_list(c->files), 0).mtime_ns / NS_PER_S;
	return r;
}

static int load_source(struct session *s, struct session_context *c, struct err *err)
{
	struct context_archive archive = {
		.store = s->service->store,
		.worker_program = s->service->worker_program,
		.cancel = s->cancel,
		.name = c->name,
		.with_owners = true,
	};

	switch (c->kind) {
	case SESSION_CONTEXT_ARCHIVE:
		return load_archive(s, c, &archive, err);
	case SESSION_CONTEXT_HTTP:
		return context_url_read(s->service->registry, c->message->url, &archive, &c->dockerfile, &c->files,
					err);
	case SESSION_CONTEXT_GIT:
		return load_git(c, &archive, err);
	default:
		return OK;
	}
}

/* As BuildKit calls it. */
static char *title_of(const struct session_context *c)
{
	bool is_url = c->message->source_case == IMAGED__V1__BUILD_CONTEXT__SOURCE_URL;
	CLEANUP(freep) char *url = is_url ? url_masked(c->message->url) : strdup("from client");

	if (!url)
		return NULL;
	if (*c->name)
		return format("[context %s] load %s", c->name, url);
	return c->kind == SESSION_CONTEXT_GIT ? format("[internal] load git source %s", url)
					      : format("[internal] load remote build context");
}

/* BuildKit unpacks what it has fetched in a step of its own. */
static void tell_unpacked(struct session *s, const struct session_context *c)
{
	if (!*c->name && c->files && c->kind != SESSION_CONTEXT_GIT)
		vertex_done(progress_begin(s->progress, "copy /context /", NULL));
}

/* In the words that BuildKit puts around what its sources say. */
static int fail_remote(const struct session_context *c, struct err *err)
{
	if (*c->name || c->kind == SESSION_CONTEXT_ARCHIVE || !err)
		return err ? err->code : E_UNKNOWN;
	err_wrap(err, "failed to load cache key");
	return err_wrap(err, "%s",
			c->kind == SESSION_CONTEXT_GIT ? "failed to read dockerfile"
						       : "failed to read downloaded context");
}

static int load_remote(struct session *s, struct session_context *c, struct err *err)
{
	CLEANUP(freep) char *title = title_of(c);
	struct vertex *v = title ? progress_begin(s->progress, title, NULL) : NULL;
	int r = load_source(s, c, err);

	if (r < 0) {
		vertex_failed(v, err);
		return fail_remote(c, err);
	}
	vertex_done(v);
	tell_unpacked(s, c);
	return OK;
}

int session_context_load(struct session *s, struct session_context *c, struct err *err)
{
	int r = OK;

	if (c->loaded)
		return OK;
	if (c->kind == SESSION_CONTEXT_DIRECTORY)
		r = load_directory(s, c, err);
	else if (c->kind == SESSION_CONTEXT_ARCHIVE || c->kind == SESSION_CONTEXT_HTTP ||
		 c->kind == SESSION_CONTEXT_GIT)
		r = load_remote(s, c, err);
	c->loaded = r == OK;
	return r;
}

void session_contexts_tell_ignore(struct session *s)
{
	const struct session_context *c = session_context_named(s, "");
	int64_t bytes = TRANSFER_NOTHING;
	struct vertex *v;

	if (s->ignore_told || !c || (c->kind != SESSION_CONTEXT_DIRECTORY && c->kind != SESSION_CONTEXT_NONE))
		return;
	s->ignore_told = true;
	if (c->message->ignore.len)
		bytes = transfer_size_file(strlen(c->message->ignore_name), (int64_t)c->message->ignore.len);
	v = progress_begin(s->progress, "[internal] load .dockerignore", NULL);
	vertex_status(v, "transferring context:", bytes, 0, true);
	vertex_done(v);
}

/* ---- one file ------------------------------------------------------------------------- */

static int read_at(const struct build_file *f, struct buf *out, struct err *err)
{
	uint8_t *room = f->size <= (int64_t)out->max ? buf_reserve(out, (size_t)f->size) : NULL;

	if (!room)
		return fail(err, E_LIMIT, "it has %lld bytes: at most %zu are read", (long long)f->size, out->max);
	for (int64_t done = 0; done < f->size;) {
		ssize_t n = pread(f->fd, room + done, (size_t)(f->size - done), f->offset + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? fail_errno(err, "a file of the context")
				 : fail(err, E_IO, "a file of the context has become shorter");
		done += n;
	}
	out->len += (size_t)f->size;
	return OK;
}

int session_context_read(struct session *s, struct session_context *c, const char *path, struct buf *out,
			 struct err *err)
{
	const struct context_list *list = c->files ? build_context_list(c->files) : NULL;
	uint32_t index = CONTEXT_NO_ENTRY;
	struct build_file file;

	if (!list || context_list_resolve(list, bytes_of(path), true, &index, err) < 0 || index == CONTEXT_NO_ENTRY ||
	    !S_ISREG(context_list_mode(list, index)))
		return fail(err, E_NOT_FOUND, "open %.256s: no such file or directory", path);
	if (build_context_need(c->files, &(struct context_range){ index, index + 1 }, 1, s->cancel, err) < 0)
		return err->code;
	build_context_file(c->files, context_list_source(list, index), &file);
	return read_at(&file, out, err) < 0 ? err_wrap(err, "%.256s", path) : OK;
}
