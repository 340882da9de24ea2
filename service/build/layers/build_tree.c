#include <assert.h>
#include <stdatomic.h>

#include "service/build/layers/build_tree.h"
#include "store/types/image_config.h"

enum { TREE_LAYERS = 500 }; /* overlay's */

struct build_tree {
	atomic_uint refs;
	struct digest chain;
	size_t n;
	struct build_layer *layers[];
};

static struct digest chain_of_nothing(void)
{
	struct digest d;

	digest_of(DIGEST_SHA256, bytes_of(""), &d);
	return d;
}

static struct build_tree *tree_new(struct build_layer *const *layers, size_t n)
{
	struct build_tree *t = calloc(1, sizeof *t + n * sizeof(struct build_layer *));

	if (!t)
		return NULL;
	atomic_init(&t->refs, 1);
	for (; t->n < n; t->n++)
		t->layers[t->n] = build_layer_ref(layers[t->n]);
	return t;
}

static int check_count(size_t n, struct err *err)
{
	return n > TREE_LAYERS ? fail(err, E_LIMIT,
				      "the image has more than %d layers, and an overlay no more than that: join some "
				      "of its RUN, COPY and WORKDIR",
				      TREE_LAYERS)
			       : OK;
}

int build_tree_new(struct build_layer *const *layers, size_t n, struct build_tree **ret_tree, struct err *err)
{
	struct build_tree *t;

	if (check_count(n, err) < 0)
		return E_LIMIT;
	t = tree_new(layers, n);
	if (!t)
		return fail_nomem(err);
	t->chain = n ? build_layer_result(layers[0])->diff_id : chain_of_nothing();
	for (size_t i = 1; i < n; i++)
		t->chain = chain_id((struct digest[]){ t->chain, build_layer_result(layers[i])->diff_id }, 2);
	*ret_tree = t;
	return OK;
}

int build_tree_push(const struct build_tree *t, struct build_layer *l, struct build_tree **ret_tree, struct err *err)
{
	const struct digest *top = &build_layer_result(l)->diff_id;
	struct build_layer *all[TREE_LAYERS];
	struct build_tree *pushed;

	if (check_count(t->n + 1, err) < 0)
		return E_LIMIT;
	memcpy(all, t->layers, t->n * sizeof(struct build_layer *));
	all[t->n] = l;
	pushed = tree_new(all, t->n + 1);
	if (!pushed)
		return fail_nomem(err);
	pushed->chain = t->n ? chain_id((struct digest[]){ t->chain, *top }, 2) : *top;
	*ret_tree = pushed;
	return OK;
}

struct build_tree *build_tree_ref(struct build_tree *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

void build_tree_unref(struct build_tree *t)
{
	if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < t->n; i++)
		build_layer_unref(t->layers[i]);
	free(t);
}

void build_tree_unrefp(struct build_tree **t)
{
	build_tree_unref(*t);
}

size_t build_tree_count(const struct build_tree *t)
{
	return t->n;
}

struct build_layer *build_tree_layer(const struct build_tree *t, size_t i)
{
	assert(i < t->n);
	return t->layers[i];
}

const struct digest *build_tree_chain(const struct build_tree *t)
{
	return &t->chain;
}

/* ---- opening --------------------------------------------------------------------- */

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

static void turn_round(int *fds, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		int other = fds[n - 1 - i];

		fds[n - 1 - i] = fds[i];
		fds[i] = other;
	}
}

int build_tree_open(const struct build_tree *t, struct cancel *cancel, int **ret_fds, size_t *ret_n, struct err *err)
{
	CLEANUP(freep) int *fds = calloc(t->n + 1, sizeof *fds);
	bool cut = false;
	size_t n = 0;

	if (!fds)
		return fail_nomem(err);
	for (size_t i = t->n; i && !cut; i--) {
		int r = build_layer_open(t->layers[i - 1], cancel, &fds[n], &cut, err);

		if (r != OK) {
			close_all(fds, n);
			return r;
		}
		n++;
	}
	turn_round(fds, n);
	*ret_fds = TAKE(fds);
	*ret_n = n;
	return OK;
}
