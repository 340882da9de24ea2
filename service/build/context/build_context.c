#include "service/build/context/build_context.h"

#include "proto/runtime/clock.h"
#include "service/build/context/build_context_state.h"

/* ---- open and close -------------------------------------------------------------------- */

static struct build_context *new_context(const char *name)
{
	struct build_context *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	pthread_mutex_init(&c->send_mu, NULL);
	pthread_mutex_init(&c->mu, NULL);
	cond_init_monotonic(&c->changed);
	c->intake.writer = (struct pack_writer)PACK_WRITER_INIT;
	c->name = strdup(name);
	if (c->name)
		return c;
	build_context_close(c, NULL);
	return NULL;
}

/* Room at the end that was given out and has not been used. */
static void give_back(struct build_context *c)
{
	const struct want *last = c->last;

	if (last)
		context_pack_give_back(c->files->pack, c->intake.want == last ? c->intake.writer.begin : last->begin,
				       last->end);
}

static int end(struct build_context *c, struct err *err)
{
	int r = intake_flush(c, err);

	give_back(c);
	return r == OK && c->context ? context_commit(c->context, c->files, err) : r;
}

int build_context_close(struct build_context *c, struct err *err)
{
	int r;

	if (!c)
		return OK;
	r = c->files ? end(c, err) : OK;
	context_list_abandon(c->writer);
	wants_free(c->first);
	wants_free(c->spent);
	context_files_unref(c->files);
	context_leave(c->context);
	pack_writer_free(&c->intake.writer);
	free(c->asked);
	free(c->owners);
	free(c->name);
	pthread_mutex_destroy(&c->send_mu);
	pthread_mutex_destroy(&c->mu);
	pthread_cond_destroy(&c->changed);
	free(c);
	return r;
}

void build_context_closep(struct build_context **c)
{
	build_context_close(*c, NULL);
}

int build_context_of_files(const char *name, struct context_files *files, struct build_context **ret_context,
			   struct err *err)
{
	CLEANUP(context_files_unrefp) struct context_files *taken = files;
	CLEANUP(build_context_closep) struct build_context *c = new_context(name);

	if (!c)
		return fail_nomem(err);
	c->files = TAKE(taken);
	c->intake.writer.pack = c->files->pack;
	c->state = CONTEXT_READY;
	*ret_context = TAKE(c);
	return OK;
}

/* ---- a directory --------------------------------------------------------------------------- */

static bool is_reliable(struct context_files *f)
{
	bool unsettled;

	pthread_mutex_lock(&f->mu);
	unsettled = f->has_unsettled;
	pthread_mutex_unlock(&f->mu);
	return !unsettled;
}

/* Takes the files. */
static int set_files(struct build_context *c, struct context_files *files, struct err *err)
{
	uint8_t *asked = calloc(context_list_count(files->list) / 8 + 1, 1);

	if (!asked) {
		context_files_unref(files);
		return fail_nomem(err);
	}
	c->intake.writer.pack = files->pack;
	pthread_mutex_lock(&c->mu);
	c->asked = asked;
	c->files = files;
	if (c->state == CONTEXT_LISTING)
		c->state = CONTEXT_READY;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->mu);
	return OK;
}

int build_context_set_list(struct build_context *c, struct context_list *list, struct err *err)
{
	CLEANUP(context_files_unrefp) struct context_files *before = context_last(c->context);
	struct context_files *files;
	int r = context_files_new(contexts_store(c->contexts), context_directory(c->context), list, before, &files,
				  err);

	if (r != OK)
		return r;
	context_set_last(c->context, files);
	return set_files(c, files, err);
}

/* From the last build, or one that is going on. */
static int use_last(struct build_context *c, struct context_files *last, struct err *err)
{
	if (!is_reliable(last))
		return build_context_set_list(c, context_list_ref(last->list), err);
	return set_files(c, context_files_ref(last), err);
}

int build_context_begin(struct build_context *c, struct err *err)
{
	CLEANUP(context_files_unrefp) struct context_files *last = context_last(c->context);
	int r;

	if (last && digest_eq(context_list_digest(last->list), &c->list_digest))
		return use_last(c, last, err);
	r = context_list_begin(contexts_store(c->contexts), context_directory(c->context), &c->writer, err);
	return r == OK ? c->peer.want_list(c->peer.arg, c->name, err) : r;
}

static int set_digest(struct build_context *c, ProtobufCBinaryData wire, struct err *err)
{
	if (wire.len != 32)
		return fail(err, E_INVALID, "build context \"%s\": the digest of a list has 32 bytes, not %zu", c->name,
			    wire.len);
	c->list_digest.algorithm = DIGEST_SHA256;
	memcpy(c->list_digest.bytes, wire.data, wire.len);
	return OK;
}

int build_context_open_directory(struct contexts *contexts, const char *name,
				 const Imaged__V1__ClientDirectory *directory, const struct build_context_peer *peer,
				 struct build_context **ret_context, struct err *err)
{
	CLEANUP(build_context_closep) struct build_context *c = new_context(name);
	int r;

	if (!c)
		return fail_nomem(err);
	c->contexts = contexts;
	c->peer = *peer;
	r = set_digest(c, directory->list_digest, err);
	if (r == OK)
		r = contexts_enter(contexts, (struct bytes){ directory->id.data, directory->id.len }, &c->context, err);
	if (r == OK)
		*ret_context = TAKE(c);
	return r;
}

/* ---- waiting --------------------------------------------------------------------------------- */

int build_context_check(const struct build_context *c, struct err *err)
{
	if (c->state != CONTEXT_FAILED)
		return OK;
	if (err)
		*err = c->failure;
	return c->failure.code;
}

void build_context_fail(struct build_context *c, const struct err *why)
{
	pthread_mutex_lock(&c->mu);
	if (c->state != CONTEXT_FAILED) {
		c->failure = *why;
		c->state = CONTEXT_FAILED;
	}
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->mu);
}

static void wake(void *context)
{
	struct build_context *c = context;

	pthread_mutex_lock(&c->mu);
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->mu);
}

int build_context_await(struct build_context *c, bool (*done)(const struct build_context *, uint64_t), uint64_t arg,
			struct cancel *cancel, struct err *err)
{
	struct cancel_hook hook = { .fn = wake, .arg = c };
	int r;

	if (cancel)
		cancel_hook(cancel, &hook);
	pthread_mutex_lock(&c->mu);
	while (!done(c, arg) && c->state != CONTEXT_FAILED && !cancel_fired(cancel))
		pthread_cond_wait(&c->changed, &c->mu);
	r = done(c, arg) ? OK : build_context_check(c, err);
	if (r == OK && !done(c, arg))
		r = cancel_check(cancel, err);
	pthread_mutex_unlock(&c->mu);
	if (cancel)
		cancel_unhook(cancel, &hook);
	return r;
}

static bool has_list(const struct build_context *c, uint64_t ignored UNUSED)
{
	return c->files != NULL;
}

int build_context_wait(struct build_context *c, struct cancel *cancel, struct err *err)
{
	return build_context_await(c, has_list, 0, cancel, err);
}

/* ---- what there is ------------------------------------------------------------------------------ */

const struct context_list *build_context_list(const struct build_context *c)
{
	return c->files->list;
}

int64_t build_context_received(struct build_context *c)
{
	int64_t received;

	pthread_mutex_lock(&c->mu);
	received = c->received;
	pthread_mutex_unlock(&c->mu);
	return received;
}

void build_context_file(struct build_context *c, uint32_t index, struct build_file *ret_file)
{
	struct context_place place;

	context_files_get(c->files, index, &place);
	*ret_file = (struct build_file){
		.fd = c->files->pack->file.fd,
		.offset = (int64_t)place.offset,
		.size = context_list_entry(c->files->list, index).size,
		.sha256 = { .algorithm = DIGEST_SHA256 },
	};
	memcpy(ret_file->sha256.bytes, place.sha256, sizeof place.sha256);
}

void build_context_owner(const struct build_context *c, uint32_t index, struct context_owner *ret_owner)
{
	*ret_owner = c->owners ? c->owners[index] : (struct context_owner){ .uid = 0 };
}
