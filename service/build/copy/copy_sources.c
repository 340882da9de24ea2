#include "service/build/copy/copy_sources.h"

#include <jansson.h>

#include "proto/runtime/clock.h"
#include "service/build/context/context_git.h"
#include "service/build/context/context_single.h"
#include "service/build/copy/http_date.h"
#include "service/registry/download.h"

enum { KEY_FORM = 1, FILE_MODE = 0644, URL_MODE = 0600, HEADER_MAX = 4096 };

static const int64_t ns_per_s = 1000000000;

/* ---- digests ------------------------------------------------------------------------------ */

static void add_number(struct hasher *h, uint64_t value)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
	hasher_update(h, bytes, sizeof bytes);
}

static void add_text(struct hasher *h, const char *text)
{
	add_number(h, strlen(text));
	hasher_update(h, text, strlen(text));
}

static void begin_key(struct hasher *h, const char *what)
{
	hasher_init(h, DIGEST_SHA256);
	add_number(h, KEY_FORM);
	add_text(h, what);
}

/* ---- here-documents ------------------------------------------------------------------------- */

static void identify_file(const struct copy_source *s, struct digest *ret_digest)
{
	struct hasher h;

	begin_key(&h, "file");
	add_text(&h, s->path);
	add_text(&h, s->content);
	*ret_digest = hasher_final(&h);
}

static int open_file(const struct source_env *e, const struct copy_source *s, struct build_context **ret_context,
		     struct err *err)
{
	CLEANUP(context_single_freep) struct context_single *c = NULL;
	int64_t mtime_ns = e->has_epoch ? e->epoch * ns_per_s : clock_wall_ns();
	struct digest sha256;
	int rc = context_single_begin(e->store, &c, err);

	if (rc == OK)
		rc = context_single_add(c, bytes_of(s->content), err);
	return rc == OK ? context_single_end(c, s->path, FILE_MODE, mtime_ns, &sha256, ret_context, err) : rc;
}

/* ---- URLs -------------------------------------------------------------------------------------- */

/* What a URL was the last time. */
struct url_note {
	char etag[HEADER_MAX], last_modified[HEADER_MAX];
	struct digest sha256;
};

static struct digest note_key(const char *url)
{
	struct hasher h;

	begin_key(&h, "note of a URL");
	add_text(&h, url);
	return hasher_final(&h);
}

static bool read_note(struct bytes text, struct url_note *ret_note)
{
	json_t *o = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
	const char *etag = NULL, *modified = NULL, *sha256 = NULL;
	bool is_good = o &&
		       !json_unpack(o, "{s:s, s:s, s:s}", "etag", &etag, "modified", &modified, "sha256", &sha256) &&
		       strlen(etag) < HEADER_MAX && strlen(modified) < HEADER_MAX &&
		       digest_parse(sha256, &ret_note->sha256, NULL) == OK;

	if (is_good) {
		snprintf(ret_note->etag, HEADER_MAX, "%s", etag);
		snprintf(ret_note->last_modified, HEADER_MAX, "%s", modified);
	}
	json_decref(o);
	return is_good;
}

/* To know it is worth something, not to is no failure. */
static bool find_note(const struct source_env *e, const char *url, struct url_note *ret_note)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(STEP_NOTE_MAX);
	const struct digest key = note_key(url);

	if (!e->cache || e->no_cache || step_cache_note(e->cache, &key, &text, NULL) != OK)
		return false;
	return read_note(buf_bytes(&text), ret_note);
}

static void keep_note(const struct source_env *e, const char *url, const struct url_note *n)
{
	char sha256[DIGEST_TEXT_MAX];
	json_t *o = json_pack("{s:s, s:s, s:s}", "etag", n->etag, "modified", n->last_modified, "sha256",
			      digest_text(&n->sha256, sha256));
	CLEANUP(freep) char *text = o ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	struct step_note note = { .key = note_key(url) };

	json_decref(o);
	if (!e->cache || !text || (!n->etag[0] && !n->last_modified[0]))
		return;
	note.value = bytes_of(text);
	step_cache_put_notes(e->cache, &note, 1, NULL);
}

static void set_header(const struct http_exchange *x, const char *name, char out[HEADER_MAX])
{
	const char *value = http_header_of(x, name);

	out[0] = 0;
	if (value && strlen(value) < HEADER_MAX)
		snprintf(out, HEADER_MAX, "%s", value);
}

static int64_t mtime_of(const struct url_note *n)
{
	int64_t seconds = 0;

	return http_date_parse(n->last_modified, &seconds) ? seconds : 0;
}

static struct digest url_digest(const struct copy_source *s, const struct digest *content, int64_t mtime)
{
	struct hasher h;

	begin_key(&h, "URL");
	add_text(&h, s->path);
	add_number(&h, (uint64_t)content->algorithm);
	hasher_update(&h, content->bytes, digest_len(content));
	add_number(&h, (uint64_t)mtime);
	return hasher_final(&h);
}

struct download_sink {
	const struct source_env *env;
	const struct copy_source *source;
	struct context_single *file;
	struct hasher wanted; /* of the algorithm of --checksum */
	int64_t got, total;
};

static int take_body(struct download_sink *d, struct http_exchange *x, struct err *err)
{
	struct bytes piece;
	int rc;

	d->total = http_response_of(x)->content_length;
	while ((rc = http_next(x, &piece, d->env->cancel, err)) == 1) {
		hasher_update(&d->wanted, piece.data, piece.len);
		d->got += (int64_t)piece.len;
		if (d->env->progress)
			d->env->progress(d->env->arg, d->source->url, d->got, d->total < 0 ? 0 : d->total);
		rc = context_single_add(d->file, piece, err);
		if (rc != OK)
			return rc;
	}
	return rc;
}

static int check_sum(const struct copy_step *step, const struct digest *wanted, struct hasher *got, struct err *err)
{
	struct digest is = hasher_final(got);
	char a[DIGEST_TEXT_MAX], b[DIGEST_TEXT_MAX];

	if (!*step->checksum || digest_eq(wanted, &is))
		return OK;
	return fail(err, E_DIGEST_MISMATCH, "digest mismatch %s: %s", digest_text(&is, a), digest_text(wanted, b));
}

static int wanted_digest(const struct copy_step *step, struct digest *ret_digest, struct err *err)
{
	*ret_digest = (struct digest){ .algorithm = DIGEST_SHA256 };
	return *step->checksum ? digest_parse(step->checksum, ret_digest, err) : OK;
}

/* The body becomes a context. */
static int take_file(const struct source_env *e, const struct copy_source *s, const struct copy_step *step,
		     struct http_exchange *x, struct url_note *n, struct build_context **ret_context, struct err *err)
{
	CLEANUP(context_single_freep) struct context_single *file = NULL;
	struct download_sink d = { .env = e, .source = s };
	struct digest wanted;
	int rc = wanted_digest(step, &wanted, err);

	if (rc != OK)
		return rc;
	hasher_init(&d.wanted, wanted.algorithm);
	rc = context_single_begin(e->store, &file, err);
	d.file = file;
	if (rc == OK)
		rc = take_body(&d, x, err);
	if (rc == OK)
		rc = check_sum(step, &wanted, &d.wanted, err);
	return rc == OK ? context_single_end(file, s->path, URL_MODE, mtime_of(n) * ns_per_s, &n->sha256, ret_context,
					     err)
			: rc;
}

/* Asks for it: *ret_context NULL when it is still what the note says (`may_be_known`). */
static int ask(const struct source_env *e, const struct copy_source *s, const struct copy_step *step, bool may_be_known,
	       struct url_note *n, struct build_context **ret_context, struct err *err)
{
	CLEANUP(http_closep) struct http_exchange *x = NULL;
	bool known = may_be_known && find_note(e, s->url, n);
	const struct download d = { .url = s->url,
				    .etag = known && n->etag[0] ? n->etag : NULL,
				    .last_modified = known && n->last_modified[0] ? n->last_modified : NULL };
	int rc = download_open(e->registry, &d, e->cancel, &x, err);

	*ret_context = NULL;
	if (rc != OK || http_response_of(x)->status == 304)
		return rc;
	set_header(x, "ETag", n->etag);
	set_header(x, "Last-Modified", n->last_modified);
	rc = take_file(e, s, step, x, n, ret_context, err);
	if (rc == OK)
		keep_note(e, s->url, n);
	return rc;
}

static int identify_url(const struct source_env *e, const struct copy_source *s, const struct copy_step *step,
			struct digest *ret_digest, struct build_context **ret_context, struct err *err)
{
	CLEANUP(freep) struct url_note *n = calloc(1, sizeof *n);
	struct digest wanted;
	int rc = n ? wanted_digest(step, &wanted, err) : fail_nomem(err);

	*ret_context = NULL;
	if (rc != OK)
		return rc;
	if (*step->checksum) { /* it can be nothing else */
		*ret_digest = url_digest(s, &wanted, 0);
		return OK;
	}
	rc = ask(e, s, step, true, n, ret_context, err);
	if (rc == OK)
		*ret_digest = url_digest(s, &n->sha256, mtime_of(n));
	return rc;
}

static int open_url(const struct source_env *e, const struct copy_source *s, const struct copy_step *step,
		    struct build_context **ret_context, struct err *err)
{
	CLEANUP(freep) struct url_note *n = calloc(1, sizeof *n);

	return n ? ask(e, s, step, false, n, ret_context, err) : fail_nomem(err);
}

/* ---- git --------------------------------------------------------------------------------------- */

static struct context_git git_of(const struct copy_source *s, const struct copy_step *step)
{
	enum tristate keep = step->keep_git_dir != UNSET ? step->keep_git_dir : s->git.keep_git_dir;

	return (struct context_git){
		.remote = s->git.remote,
		.ref = s->git.ref,
		.checksum = *step->checksum ? step->checksum : s->git.checksum,
		.without_submodules = s->git.submodules == OFF,
		.keep_git_dir = keep == ON,
	};
}

static struct digest git_digest(const struct copy_source *s, const struct context_git *g, const char *commit)
{
	struct hasher h;

	begin_key(&h, "git");
	add_text(&h, g->remote);
	add_text(&h, commit);
	add_text(&h, s->git.subdir);
	add_number(&h, g->without_submodules);
	add_number(&h, g->keep_git_dir);
	if (g->keep_git_dir)
		add_text(&h, g->ref); /* .git tells it */
	return hasher_final(&h);
}

static struct context_archive archive_of(const struct source_env *e, const struct copy_source *s)
{
	return (struct context_archive){ .store = e->store,
					 .worker_program = e->worker_program,
					 .cancel = e->cancel,
					 .name = s->git.short_name,
					 .subdir = s->git.subdir };
}

static int open_git(const struct source_env *e, const struct copy_source *s, const struct copy_step *step,
		    struct context_git_result *ret_result, struct build_context **ret_context, struct err *err)
{
	const struct context_archive archive = archive_of(e, s);
	const struct context_git git = git_of(s, step);

	return context_git_read(&git, &archive, ret_result, ret_context, err);
}

/* The remote says which commit it is; where it does not, the commit is fetched. */
static int identify_git(const struct source_env *e, const struct copy_source *s, const struct copy_step *step,
			struct digest *ret_digest, struct build_context **ret_context, struct err *err)
{
	const struct context_archive archive = archive_of(e, s);
	const struct context_git git = git_of(s, step);
	struct context_git_result result = { .submodules = 0 };
	int rc = context_git_find(&git, &archive, result.commit, err);

	*ret_context = NULL;
	if (rc == E_NOT_FOUND)
		rc = open_git(e, s, step, &result, ret_context, err);
	if (rc == OK)
		*ret_digest = git_digest(s, &git, result.commit);
	return rc;
}

/* ---- all of them ----------------------------------------------------------------------------------- */

int source_identify(const struct source_env *e, const struct copy_source *source, const struct copy_step *step,
		    struct digest *ret_digest, struct build_context **ret_context, struct err *err)
{
	*ret_context = NULL;
	switch (source->kind) {
	case SOURCE_FILE:
		identify_file(source, ret_digest);
		return OK;
	case SOURCE_URL:
		return identify_url(e, source, step, ret_digest, ret_context, err);
	case SOURCE_GIT:
		return identify_git(e, source, step, ret_digest, ret_context, err);
	default:
		return fail(err, E_INTERNAL, "a source that is files already");
	}
}

int source_open(const struct source_env *e, const struct copy_source *source, const struct copy_step *step,
		struct build_context **ret_context, struct err *err)
{
	struct context_git_result result;

	switch (source->kind) {
	case SOURCE_FILE:
		return open_file(e, source, ret_context, err);
	case SOURCE_URL:
		return open_url(e, source, step, ret_context, err);
	case SOURCE_GIT:
		return open_git(e, source, step, &result, ret_context, err);
	default:
		return fail(err, E_INTERNAL, "a source that is files already");
	}
}
