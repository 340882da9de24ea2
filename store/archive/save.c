#include "store/archive/save.h"

#include "store/archive/save_members.h"
#include "store/content/content.h"
#include "store/image/image_record.h"
#include "store/internal.h"

/* A store that cannot be written to still gives out what it has: on a read-only one
 * nothing is removed, and on a full disk a blob that is removed meanwhile is an error
 * of the save. */
static int take_lease(struct save *a, struct err *err)
{
	size_t n = HASH_COUNT(a->blobs), i = 0;
	CLEANUP(freep) struct digest *all = calloc(n ? n : 1, sizeof *all);
	int r;

	if (!all)
		return fail_nomem(err);
	for (struct save_member *m = a->blobs; m; m = m->hh.next)
		all[i++] = m->digest;
	if (a->store->read_only)
		return OK;
	r = lease_create(a->store, "save", all, n, &a->lease, err);
	a->leased = r == OK;
	return r == E_DISK_FULL ? OK : r;
}

/* Lost, or only removed since it was chosen. */
static int fail_missing(struct save *a, const struct selection *x, const struct save_member *m, struct err *err)
{
	char text[DIGEST_TEXT_MAX];

	for (size_t i = 0; i < x->n_images; i++)
		if (!image_is_listed(a->store, &x->images[i].manifest))
			return fail(err, E_ABORTED, "image %s was removed while it was being saved",
				    digest_text(&x->images[i].config, text));
	return fail(err, E_CORRUPT, "blob %s is not in the store; run 'imagectl system check'",
		    digest_text(&m->digest, text));
}

/* Only what was claimed after the lease was there is safe. */
static int check_present(struct save *a, const struct selection *x, struct err *err)
{
	for (struct save_member *m = a->blobs; m; m = m->hh.next) {
		char text[DIGEST_TEXT_MAX];
		int64_t size = 0;

		if (!content_claim(a->store, &m->digest, &size))
			return fail_missing(a, x, m, err);
		if (size != m->stored_size)
			return fail(err, E_CORRUPT, "blob %s is damaged; run 'imagectl system check'",
				    digest_text(&m->digest, text));
	}
	return OK;
}

static int plan(struct save *a, const struct selection *x, enum save_layout layout, struct err *err)
{
	int r = layout == SAVE_DOCKER ? save_plan_docker(a, x, err)
				      : save_plan_oci(a, x, layout == SAVE_OCI_AND_DOCKER, err);

	if (r == OK)
		r = take_lease(a, err);
	return r == OK ? check_present(a, x, err) : r;
}

void save_close(struct save *a)
{
	if (!a)
		return;
	save_end(a);
	HASH_CLEAR(hh, a->blobs);
	while (a->members) {
		struct save_member *m = a->members;

		a->members = m->next;
		buf_free(&m->body);
		free(m);
	}
	if (a->leased)
		lease_release(a->store, &a->lease, NULL);
	free(a);
}

void save_closep(struct save **a)
{
	save_close(*a);
}

int save_open(struct store *s, const struct selection *x, enum save_layout layout, const struct save_inflater *inflater,
	      struct save **ret_save, struct err *err)
{
	CLEANUP(save_closep) struct save *a = calloc(1, sizeof *a);
	int r;

	if (!a)
		return fail_nomem(err);
	a->store = s;
	a->last = &a->members;
	a->at.fd = -1;
	if (inflater)
		a->inflater = *inflater;
	r = plan(a, x, layout, err);
	if (r == OK)
		r = save_begin(a, err);
	if (r != OK)
		return r;
	*ret_save = TAKE(a);
	return OK;
}
