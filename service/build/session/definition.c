#include "service/build/session/definition.h"

#include "service/build/excerpt.h"
#include "service/build/session/transfer_size.h"

enum { EXCERPT_MAX = 256 * 1024 };

/* ---- its bytes -------------------------------------------------------------------------- */

static int no_dockerfile(const char *name, struct err *err)
{
	return fail(err, E_NOT_FOUND, "failed to read dockerfile: open %.256s: no such file or directory", name);
}

static bool is_default(const char *name)
{
	return !strcmp(name, "Dockerfile");
}

/* "dockerfile" where there is no "Dockerfile", as BuildKit looks. */
static int read_file(struct session *s, struct session_context *c, struct definition *d, struct err *err)
{
	int r = session_context_read(s, c, d->name, &d->read, err);

	if (r == E_NOT_FOUND && is_default(d->name)) {
		r = session_context_read(s, c, "dockerfile", &d->read, err);
		if (r == OK)
			d->name = "dockerfile";
	}
	if (r == E_NOT_FOUND)
		return no_dockerfile(d->name, err);
	return r == OK ? OK : err_wrap(err, "failed to read dockerfile");
}

/* A URL or an archive may be a Dockerfile itself. */
static int read_from_context(struct session *s, struct definition *d, struct err *err)
{
	struct session_context *c = session_context_named(s, "");
	int r;

	if (!c)
		return no_dockerfile(d->name, err);
	if (session_context_load(s, c, err) < 0)
		return err->code;
	if (c->dockerfile.len) {
		d->text = buf_bytes(&c->dockerfile);
		return OK;
	}
	r = read_file(s, c, d, err);
	d->text = buf_bytes(&d->read);
	return r;
}

static int read_from_client(struct session *s, struct definition *d, struct err *err)
{
	CLEANUP(freep) char *title = format("[internal] load build definition from %s", d->name);
	struct vertex *v = title ? progress_begin(s->progress, title, NULL) : NULL;

	d->text = (struct bytes){ s->start->dockerfile.data, s->start->dockerfile.len };
	vertex_status(v, "transferring dockerfile:", transfer_size_file(strlen(d->name), (int64_t)d->text.len), 0,
		      true);
	vertex_done(v);
	return d->text.len <= DOCKERFILE_MAX ? OK
					     : fail(err, E_LIMIT, "the Dockerfile has %zu bytes: at most %d are read",
						    d->text.len, DOCKERFILE_MAX);
}

int definition_read(struct session *s, struct definition *d, struct err *err)
{
	*d = (struct definition){ .name = *s->start->dockerfile_name ? s->start->dockerfile_name : "Dockerfile" };
	d->read = (struct buf)BUF_INIT(DOCKERFILE_MAX);
	arena_init(&d->arena, DOCKERFILE_ARENA_MAX);
	return s->start->dockerfile_in_context ? read_from_context(s, d, err) : read_from_client(s, d, err);
}

void definition_free(struct definition *d)
{
	buf_free(&d->read);
	arena_free(&d->arena);
}

/* ---- what it says ------------------------------------------------------------------------- */

static void tell_unknown_syntax(struct session *s, const struct definition *d)
{
	Imaged__V1__BuildWarning w = IMAGED__V1__BUILD_WARNING__INIT;
	CLEANUP(freep) char *message = NULL;

	if (!*d->file.syntax || syntax_is_known(d->file.syntax))
		return;
	message = format("the syntax directive names %.256s, which is not run: the Dockerfile is read as "
			 "docker/dockerfile:1 is",
			 d->file.syntax);
	if (!message)
		return;
	w.message = message;
	w.first_line = w.last_line = 1;
	progress_warning(s->progress, &w);
}

int definition_parse(struct session *s, struct definition *d, struct err *err)
{
	d->lint = (struct lint){ .arena = &d->arena };
	if (dockerfile_parse(d->text, &d->arena, &d->lint, &d->file, &d->place, err) < 0)
		return err->code;
	tell_unknown_syntax(s, d);
	return OK;
}

/* ---- for people ----------------------------------------------------------------------------- */

static void tell(struct session *s, const struct definition *d, struct place place, Imaged__V1__BuildWarning *w)
{
	CLEANUP(buf_free) struct buf excerpt = BUF_INIT(EXCERPT_MAX);

	excerpt_write(d->text, d->name, place, &excerpt);
	w->first_line = (uint32_t)place.first;
	w->last_line = (uint32_t)place.last;
	w->excerpt = (ProtobufCBinaryData){ excerpt.len, excerpt.data };
	progress_warning(s->progress, w);
}

void definition_tell_place(struct session *s, const struct definition *d, struct place place, const struct err *why)
{
	Imaged__V1__BuildWarning w = IMAGED__V1__BUILD_WARNING__INIT;

	if (!place.first)
		return;
	w.message = (char *)why->text;
	w.is_error = true;
	tell(s, d, place, &w);
}

void definition_tell_warnings(struct session *s, struct definition *d)
{
	for (size_t i = 0; i < d->lint.n; i++) {
		const struct lint_warning *found = &d->lint.warnings[i];
		Imaged__V1__BuildWarning w = IMAGED__V1__BUILD_WARNING__INIT;

		w.rule = (char *)lint_name(found->rule);
		w.description = (char *)lint_description(found->rule);
		w.url = (char *)lint_url(found->rule);
		w.message = (char *)found->detail;
		tell(s, d, found->place, &w);
	}
}
