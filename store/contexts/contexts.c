#include "store/contexts/contexts.h"

#include "proto/runtime/clock.h"
#include "store/contexts/context_state.h"

int contexts_new(struct store *s, struct contexts **ret_contexts, struct err *err)
{
	struct contexts *c = calloc(1, sizeof *c);

	if (!c)
		return fail_nomem(err);
	c->store = s;
	pthread_mutex_init(&c->mu, NULL);
	cond_init_monotonic(&c->left);
	*ret_contexts = c;
	return OK;
}

void contexts_free(struct contexts *c)
{
	if (!c)
		return;
	pthread_mutex_destroy(&c->mu);
	pthread_cond_destroy(&c->left);
	free(c);
}

struct store *contexts_store(struct contexts *c)
{
	return c->store;
}

/* ---- in use --------------------------------------------------------------------------- */

static struct context *context_new(struct contexts *c, const struct digest *id)
{
	struct context *x = calloc(1, sizeof *x);

	if (!x)
		return NULL;
	x->contexts = c;
	x->id = *id;
	x->refs = 1;
	digest_hex(id, x->directory);
	pthread_mutex_init(&x->mu, NULL);
	return x;
}

static void context_free(struct context *x)
{
	context_files_unref(x->last);
	pthread_mutex_destroy(&x->mu);
	free(x);
}

static struct context *find(struct contexts *c, const struct digest *id)
{
	struct context *x;

	HASH_FIND(hh, c->in_use, id, sizeof *id, x);
	return x;
}

/* Under c->mu. */
static struct context *add(struct contexts *c, const struct digest *id)
{
	struct context *x = context_new(c, id);

	if (!x)
		return NULL;
	HASH_ADD(hh, c->in_use, id, sizeof x->id, x);
	if (HASH_ADDED(x))
		return x;
	context_free(x);
	return NULL;
}

static struct context *find_or_add(struct contexts *c, const struct digest *id)
{
	struct context *x;

	pthread_mutex_lock(&c->mu);
	while ((x = find(c, id)) && x->leaving)
		pthread_cond_wait(&c->left, &c->mu);
	if (x)
		x->refs++;
	else
		x = add(c, id);
	pthread_mutex_unlock(&c->mu);
	return x;
}

static void unref(struct context *x)
{
	struct contexts *c = x->contexts;
	bool over;

	pthread_mutex_lock(&c->mu);
	over = --x->refs == 0;
	if (over)
		HASH_DEL(c->in_use, x);
	pthread_cond_broadcast(&c->left);
	pthread_mutex_unlock(&c->mu);
	if (over)
		context_free(x);
}

bool context_seize(struct contexts *c, const struct digest *id, struct context **ret_context)
{
	struct context *x = NULL;

	pthread_mutex_lock(&c->mu);
	if (!find(c, id))
		x = add(c, id);
	if (x)
		x->leaving = true;
	pthread_mutex_unlock(&c->mu);
	*ret_context = x;
	return x != NULL;
}

void context_release(struct context *x)
{
	unref(x);
}

size_t contexts_in_use(struct contexts *c)
{
	size_t n;

	pthread_mutex_lock(&c->mu);
	n = HASH_COUNT(c->in_use);
	pthread_mutex_unlock(&c->mu);
	return n;
}

int contexts_enter(struct contexts *c, struct bytes id, struct context **ret_context, struct err *err)
{
	struct digest digest;
	struct context *x;
	int r = store_writable(c->store, err);

	if (r != OK)
		return r;
	if (!id.len || id.len > CONTEXT_ID_MAX)
		return fail(err, E_INVALID, "the id of a build context must be of 1 to %d bytes", CONTEXT_ID_MAX);
	digest_of(DIGEST_SHA256, id, &digest);
	x = find_or_add(c, &digest);
	if (!x)
		return fail_nomem(err);
	pthread_mutex_lock(&x->mu);
	if (!x->loaded)
		r = context_load(x, err);
	x->loaded = r == OK;
	pthread_mutex_unlock(&x->mu);
	if (r == OK)
		*ret_context = x;
	else
		unref(x);
	return r;
}

void context_leave(struct context *x)
{
	if (x)
		unref(x);
}

/* ---- its files --------------------------------------------------------------------------- */

const char *context_directory(const struct context *x)
{
	return x->directory;
}

struct context_files *context_last(struct context *x)
{
	struct context_files *f;

	pthread_mutex_lock(&x->mu);
	f = x->last ? context_files_ref(x->last) : NULL;
	pthread_mutex_unlock(&x->mu);
	return f;
}

void context_set_last(struct context *x, struct context_files *files)
{
	struct context_files *old;

	pthread_mutex_lock(&x->mu);
	old = x->last;
	x->last = context_files_ref(files);
	pthread_mutex_unlock(&x->mu);
	context_files_unref(old);
}

int context_commit(struct context *x, struct context_files *files, struct err *err)
{
	int r;

	pthread_mutex_lock(&x->mu);
	r = context_save(x, files, err);
	pthread_mutex_unlock(&x->mu);
	return r;
}
