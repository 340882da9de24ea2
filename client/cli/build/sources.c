#include "client/cli/build/sources.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "client/cli/build/context_id.h"
#include "client/cli/file_error.h"
#include "store/types/reference.h"

enum { SNIFF_BYTES = 512 };

struct source_directory {
	struct source_directory *next;
	struct listing listing;
	struct digest id;
	Imaged__V1__ClientDirectory message;
};

/* ---- files ----------------------------------------------------------------------------------- */

static int read_all(int fd, const char *name, size_t max, struct buf *out, struct err *err)
{
	for (;;) {
		void *room = buf_reserve(out, 64 * 1024);
		ssize_t n = room ? read(fd, room, 64 * 1024) : 0;

		if (!room && out->len + 64 * 1024 <= out->max)
			return fail_nomem(err);
		if (!room)
			return fail(err, E_LIMIT, "%s has more than %zu bytes", name, max);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_file(err, "read", name);
		if (n == 0)
			return OK;
		out->len += (size_t)n;
	}
}

int read_whole_file(const char *path, size_t max, struct arena *a, struct bytes *ret_bytes, struct err *err)
{
	CLEANUP(closep) int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	CLEANUP(buf_free) struct buf text = BUF_INIT(max + 64 * 1024);
	const char *name = path ? path : "standard input";
	char *copy;

	if (fd < 0)
		return fail_file(err, "open", name);
	if (read_all(fd, name, max, &text, err) < 0)
		return err->code;
	copy = arena_bytes(a, buf_bytes(&text));
	if (!copy)
		return fail_nomem(err);
	*ret_bytes = (struct bytes){ (const uint8_t *)copy, text.len };
	return OK;
}

/* false and errno ENOENT: there is none. */
static int read_if_there(const char *path, size_t max, struct arena *a, bool *ret_there, struct bytes *ret_bytes,
			 struct err *err)
{
	struct stat st;

	*ret_there = path && !stat(path, &st);
	if (!path)
		return fail_nomem(err);
	if (!*ret_there)
		return errno == ENOENT || errno == ENOTDIR ? OK : fail_file(err, "open", path);
	return read_whole_file(path, max, a, ret_bytes, err);
}

static bool is_directory(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool begins(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

/* A place that the service fetches from, as docker tells them from paths. */
static bool is_remote(const char *text)
{
	static const char *const prefixes[] = { "http://", "https://", "git://", "ssh://", "github.com/", "git@" };

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (begins(text, prefixes[i]))
			return true;
	return false;
}

/* ---- directories -------------------------------------------------------------------------------- */

static ProtobufCBinaryData wire(struct bytes b)
{
	return (ProtobufCBinaryData){ b.len, (uint8_t *)b.data };
}

/* <Dockerfile>.dockerignore beside the Dockerfile, else .dockerignore of the context. */
static int read_ignore(struct build_sources *s, const char *directory, const char *dockerfile,
		       Imaged__V1__BuildContext *m, struct err *err)
{
	struct bytes text = { 0 };
	bool there = false;
	const char *path = NULL;
	int r = OK;

	if (dockerfile) {
		path = ignore_file_beside(dockerfile, s->arena);
		r = read_if_there(path, IGNORE_FILE_MAX, s->arena, &there, &text, err);
	}
	if (r == OK && !there) {
		path = arena_printf(s->arena, "%s/.dockerignore", directory);
		r = read_if_there(path, IGNORE_FILE_MAX, s->arena, &there, &text, err);
	}
	if (r < 0 || !there)
		return r;
	m->ignore = wire(text);
	m->ignore_name = (char *)base_name(path);
	return OK;
}

static int list_directory(struct build_sources *s, struct source_directory *d, const char *path,
			  const Imaged__V1__BuildContext *m, bool all, struct err *err)
{
	struct ignore ignore = { 0 };
	struct bytes text = { m->ignore.data, m->ignore.len };

	if (!all && text.len && ignore_parse(text, s->arena, &ignore, err) < 0)
		return err_wrap(err, "failed to read dockerignore patterns");
	if (listing_make(path, ignore.n ? &ignore : NULL, &d->listing, err) < 0)
		return err->code;
	return context_id(path, &d->id, err);
}

/* dockerfile: whose ignore file counts; NULL: none has one. `all`: nothing is left out. */
/* Where it cannot be told the record goes without. */
static void set_name(struct build_sources *s, Imaged__V1__ClientDirectory *m, const char *path)
{
	CLEANUP(freep) char *whole = realpath(path, NULL);
	char *name = whole ? arena_string(s->arena, base_name(whole)) : NULL;

	if (name)
		m->name = (ProtobufCBinaryData){ strlen(name), (uint8_t *)name };
}

static int open_directory(struct build_sources *s, Imaged__V1__BuildContext *m, const char *path,
			  const char *dockerfile, bool all, struct err *err)
{
	struct source_directory *d = calloc(1, sizeof *d);

	if (!d)
		return fail_nomem(err);
	d->listing = (struct listing)LISTING_INIT;
	d->next = s->directories;
	s->directories = d;
	if (!all && read_ignore(s, path, dockerfile, m, err) < 0)
		return err->code;
	if (list_directory(s, d, path, m, all, err) < 0)
		return err->code;
	imaged__v1__client_directory__init(&d->message);
	d->message.id = (ProtobufCBinaryData){ 32, d->id.bytes };
	d->message.list_digest = (ProtobufCBinaryData){ 32, d->listing.digest.bytes };
	set_name(s, &d->message, path);
	m->source_case = IMAGED__V1__BUILD_CONTEXT__SOURCE_DIRECTORY;
	m->directory = &d->message;
	s->uploads[s->n_uploads++] = (struct upload_source){ .name = m->name, .listing = &d->listing };
	return OK;
}

static void set_url(Imaged__V1__BuildContext *m, const char *url)
{
	m->source_case = IMAGED__V1__BUILD_CONTEXT__SOURCE_URL;
	m->url = (char *)url;
}

/* ---- standard input ------------------------------------------------------------------------------- */

static bool sums_up(const uint8_t *block)
{
	unsigned long sum = 0, said = strtoul((const char *)block + 148, NULL, 8);

	for (size_t i = 0; i < SNIFF_BYTES; i++)
		sum += i >= 148 && i < 156 ? ' ' : block[i];
	return sum == said;
}

/* An archive, plain or compressed, by its first bytes. */
static bool is_archive(const uint8_t *data, size_t len)
{
	static const struct {
		const char *bytes;
		size_t len;
	} magics[] = {
		{ "\x1f\x8b\x08", 3 },
		{ "BZh", 3 },
		{ "\xfd"
		  "7zXZ\0",
		  6 },
		{ "\x28\xb5\x2f\xfd", 4 },
	};
	static const uint8_t zeros[SNIFF_BYTES];

	for (size_t i = 0; i < ARRAY_LEN(magics); i++)
		if (len >= magics[i].len && !memcmp(data, magics[i].bytes, magics[i].len))
			return true;
	return len == SNIFF_BYTES && (sums_up(data) || !memcmp(data, zeros, SNIFF_BYTES));
}

/* The Dockerfile itself, without any files. */
static int take_dockerfile(struct build_sources *s, struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(DOCKERFILE_MAX);
	size_t len = 1;
	char *copy;
	int r = OK;

	while (r == OK && len) {
		r = input_read(&s->archive, -1, INPUT_PIECE_BYTES, &len, err);
		if (r == OK)
			buf_append(&text, s->archive.piece, len);
	}
	if (r < 0)
		return r;
	if (!buf_ok(&text))
		return fail(err, E_LIMIT, "the Dockerfile has more than %d bytes", DOCKERFILE_MAX);
	copy = arena_bytes(s->arena, buf_bytes(&text));
	if (!copy)
		return fail_nomem(err);
	s->dockerfile = (struct bytes){ (const uint8_t *)copy, text.len };
	s->context.source_case = IMAGED__V1__BUILD_CONTEXT__SOURCE_NONE;
	s->context.none = true;
	return OK;
}

static void take_archive(struct build_sources *s)
{
	static Imaged__V1__ClientArchive archive = IMAGED__V1__CLIENT_ARCHIVE__INIT;

	s->context.source_case = IMAGED__V1__BUILD_CONTEXT__SOURCE_ARCHIVE;
	s->context.archive = &archive;
	s->dockerfile_in_context = true;
	s->uploads[s->n_uploads++] = (struct upload_source){ .name = s->context.name, .archive = &s->archive };
}

static int open_input(struct build_sources *s, const struct build_options *o, struct err *err)
{
	size_t len;

	if (o->file && !strcmp(o->file, "-"))
		return fail(err, E_INVALID, "invalid argument: can't use stdin for both build context and dockerfile");
	if (input_open(NULL, &s->archive, err) < 0 || input_peek(&s->archive, SNIFF_BYTES, &len, err) < 0)
		return err->code;
	s->dockerfile_name = o->file ? o->file : "Dockerfile";
	s->is_empty = !len;
	if (is_archive(s->archive.piece, len)) {
		take_archive(s);
		return OK;
	}
	if (o->file)
		return fail(err, E_INVALID,
			    "ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles");
	return take_dockerfile(s, err);
}

/* ---- the Dockerfile --------------------------------------------------------------------------------- */

static int read_dockerfile(struct build_sources *s, const char *path, struct err *err)
{
	bool there;
	int r = read_if_there(path, DOCKERFILE_MAX, s->arena, &there, &s->dockerfile, err);

	s->dockerfile_name = path ? base_name(path) : "";
	s->dockerfile_is_missing = !there;
	return r;
}

/* PATH/Dockerfile, else what a file system that knows no capitals may have made of it. */
static int find_dockerfile(struct build_sources *s, const char *directory, const char **ret_path, struct err *err)
{
	const char *path = arena_printf(s->arena, "%s/Dockerfile", directory);
	const char *other = arena_printf(s->arena, "%s/dockerfile", directory);
	int r = path && other ? read_dockerfile(s, path, err) : fail_nomem(err);

	*ret_path = path;
	if (r < 0 || !s->dockerfile_is_missing || !is_directory(directory))
		return r;
	r = read_dockerfile(s, other, err);
	if (r == OK && s->dockerfile_is_missing)
		s->dockerfile_name = "Dockerfile";
	else
		*ret_path = other;
	return r;
}

static int open_dockerfile(struct build_sources *s, const struct build_options *o, const char *directory,
			   const char **ret_path, struct err *err)
{
	*ret_path = NULL;
	if (!o->file)
		return find_dockerfile(s, directory, ret_path, err);
	s->dockerfile_name = "Dockerfile";
	if (!strcmp(o->file, "-"))
		return read_whole_file(NULL, DOCKERFILE_MAX, s->arena, &s->dockerfile, err);
	*ret_path = o->file;
	return read_dockerfile(s, o->file, err);
}

/* ---- the main context ------------------------------------------------------------------------------- */

static int open_remote(struct build_sources *s, const struct build_options *o, const char *url, struct err *err)
{
	set_url(&s->context, url);
	s->dockerfile_name = o->file ? o->file : "Dockerfile";
	if (!o->file || strcmp(o->file, "-") != 0) {
		s->dockerfile_in_context = true;
		return OK;
	}
	s->dockerfile_name = "Dockerfile";
	return read_whole_file(NULL, DOCKERFILE_MAX, s->arena, &s->dockerfile, err);
}

static int open_main(struct build_sources *s, const struct build_options *o, const char *context, struct err *err)
{
	const char *dockerfile;

	if (!strcmp(context, "-"))
		return open_input(s, o, err);
	if (!is_directory(context))
		return is_remote(context)
			       ? open_remote(s, o, context, err)
			       : fail(err, E_INVALID, "unable to prepare context: path \"%.512s\" not found", context);
	if (open_dockerfile(s, o, context, &dockerfile, err) < 0)
		return err->code;
	/* Nothing is asked for when there is no Dockerfile. */
	return s->dockerfile_is_missing ? OK : open_directory(s, &s->context, context, dockerfile, false, err);
}

/* ---- named contexts --------------------------------------------------------------------------------- */

/* NULL: there are too many, or memory is short. */
static Imaged__V1__BuildContext *add_named(struct build_sources *s, const char *name, struct err *err)
{
	Imaged__V1__BuildContext *m = name ? arena_alloc(s->arena, sizeof *m) : NULL;

	if (!m) {
		fail_nomem(err);
		return NULL;
	}
	if (s->n_named + 1 >= SOURCES_MAX || s->n_uploads + 1 >= SOURCES_MAX) {
		fail(err, E_LIMIT, "more than %d build contexts", SOURCES_MAX);
		return NULL;
	}
	imaged__v1__build_context__init(m);
	m->name = (char *)name;
	s->named[s->n_named++] = m;
	return m;
}

const char *build_sources_add_directory(struct build_sources *s, const char *path, struct err *err)
{
	const char *name = arena_printf(s->arena, "imagectl-directory-%zu", s->n_named);
	Imaged__V1__BuildContext *m = add_named(s, name, err);

	return m && open_directory(s, m, path, NULL, true, err) == OK ? name : NULL;
}

/* Images are told by their short names, without "latest"; what is no reference stays. */
static char *normal_name(struct build_sources *s, const char *name, size_t len)
{
	char *copy = arena_bytes(s->arena, (struct bytes){ (const uint8_t *)name, len });
	char familiar[REFERENCE_TEXT_MAX];
	struct reference ref;
	size_t end;

	if (!copy || reference_parse(copy, &ref, NULL) < 0)
		return copy;
	reference_familiar(&ref, familiar);
	end = strlen(familiar);
	if (end > 7 && !strcmp(familiar + end - 7, ":latest"))
		familiar[end - 7] = 0;
	return arena_string(s->arena, familiar);
}

/* oci-layout://PATH[:TAG][@DIGEST]: the directory goes as a context of its own. */
static int open_layout(struct build_sources *s, Imaged__V1__BuildContext *m, const char *rest, struct err *err)
{
	size_t len = strlen(rest);
	const char *at = strchr(rest, '@'), *colon, *suffix, *name;
	char *path = arena_string(s->arena, rest);

	if (!path)
		return fail_nomem(err);
	suffix = at ? at : rest + len;
	path[suffix - rest] = 0;
	colon = strrchr(path, ':');
	if (colon && !strchr(colon, '/'))
		suffix = rest + (colon - path);
	path[suffix - rest] = 0;
	if (!is_directory(path))
		return fail(err, E_INVALID, "failed to get build context %.128s: stat %.512s: no such directory",
			    m->name, path);
	name = build_sources_add_directory(s, path, err);
	if (!name)
		return err->code;
	set_url(m, arena_printf(s->arena, "oci-layout://%s%s", name, suffix));
	return m->url ? OK : fail_nomem(err);
}

static int open_named(struct build_sources *s, const char *text, struct err *err)
{
	const char *equals = strchr(text, '='), *value = equals ? equals + 1 : NULL;
	Imaged__V1__BuildContext *m;

	if (!equals || equals == text || !*value)
		return fail(err, E_INVALID, "invalid context value: %.512s, expected key=value", text);
	m = add_named(s, normal_name(s, text, (size_t)(equals - text)), err);
	if (!m)
		return err->code;
	if (begins(value, "oci-layout://"))
		return open_layout(s, m, value + strlen("oci-layout://"), err);
	if (is_remote(value) || begins(value, "docker-image://") || begins(value, "target:")) {
		set_url(m, value);
		return OK;
	}
	if (!is_directory(value))
		return fail(err, E_INVALID,
			    "failed to get build context %.128s: stat %.512s: no such file or directory", m->name,
			    value);
	return open_directory(s, m, value, NULL, false, err);
}

/* ---- all ---------------------------------------------------------------------------------------------- */

int build_sources_open(struct build_sources *s, struct arena *a, const struct build_options *o, const char *context,
		       struct err *err)
{
	s->arena = a;
	s->archive = (struct input)INPUT_INIT;
	imaged__v1__build_context__init(&s->context);
	if (open_main(s, o, context, err) < 0)
		return err->code;
	for (size_t i = 0; i < o->build_context.n; i++)
		if (open_named(s, o->build_context.items[i], err) < 0)
			return err->code;
	return OK;
}

void build_sources_close(struct build_sources *s)
{
	if (!s->arena)
		return;
	while (s->directories) {
		struct source_directory *d = s->directories;

		s->directories = d->next;
		listing_free(&d->listing);
		free(d);
	}
	input_close(&s->archive);
}
