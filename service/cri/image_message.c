#include "service/cri/image_message.h"

#include <stdlib.h>

#include "service/image/convert.h"

/* ---- names ---------------------------------------------------------------------------------- */

/* Those with a tag and those with a digest; both stay sorted. */
static int put_names(struct arena *a, const struct image *image, Runtime__V1__Image *m, struct err *err)
{
	m->repo_tags = arena_array(a, image->n_names + 1, sizeof *m->repo_tags);
	m->repo_digests = arena_array(a, image->n_names + 1, sizeof *m->repo_digests);
	if (!m->repo_tags || !m->repo_digests)
		return fail_nomem(err);
	for (size_t i = 0; i < image->n_names; i++) {
		char *name = arena_string(a, image->names[i]);

		if (!name)
			return fail_nomem(err);
		if (strchr(name, '@'))
			m->repo_digests[m->n_repo_digests++] = name;
		else
			m->repo_tags[m->n_repo_tags++] = name;
	}
	return OK;
}

/* ---- the user --------------------------------------------------------------------------------- */

static bool is_number(const char *text, int64_t *ret_number)
{
	char *end;

	if (!*text || strspn(text, "0123456789") != strlen(text))
		return false;
	errno = 0;
	*ret_number = strtoll(text, &end, 10);
	return !errno;
}

static int set_uid(struct arena *a, int64_t number, Runtime__V1__Image *m, struct err *err)
{
	m->uid = arena_alloc(a, sizeof *m->uid);
	if (!m->uid)
		return fail_nomem(err);
	runtime__v1__int64_value__init(m->uid);
	m->uid->value = number;
	return OK;
}

/* "USER:GROUP": the user alone, a number or a name; with none both stay unset. */
static int put_user(struct arena *a, const char *user, Runtime__V1__Image *m, struct err *err)
{
	char *name = arena_bytes(a, (struct bytes){ (const uint8_t *)user, strcspn(user, ":") });
	int64_t number;

	if (!name)
		return fail_nomem(err);
	if (is_number(name, &number))
		return set_uid(a, number, m, err);
	m->username = name;
	return OK;
}

/* Records of before the user was on record lead to the configuration. */
static int put_user_of(struct store *s, struct arena *a, const struct image *image, Runtime__V1__Image *m,
		       struct err *err)
{
	CLEANUP(image_content_free) struct image_content c = { 0 };

	if (image->record->has_user)
		return put_user(a, image->record->user, m, err);
	if (image_content_read(s, image, &c, err) < 0)
		return err->code;
	return put_user(a, c.config.config.user ? c.config.config.user : "", m, err);
}

/* ---- the image ---------------------------------------------------------------------------------- */

static uint64_t size_of(const Imaged__Store__V1__ImageRecord *r)
{
	int64_t total = add_sizes(r->manifest_size, r->config_size);

	for (size_t i = 0; i < r->n_layers; i++)
		total = add_sizes(total, r->layers[i]->size);
	return (uint64_t)total;
}

/* The same whatever name it was asked for by. */
static int put_spec(struct arena *a, Runtime__V1__Image *m, struct err *err)
{
	m->spec = arena_alloc(a, sizeof *m->spec);
	if (!m->spec)
		return fail_nomem(err);
	runtime__v1__image_spec__init(m->spec);
	m->spec->image = m->id;
	return OK;
}

int cri_image_message(struct store *s, struct arena *a, const struct image *image, Runtime__V1__Image **ret_message,
		      struct err *err)
{
	Runtime__V1__Image *m = arena_alloc(a, sizeof *m);
	struct digest config;

	if (!m)
		return fail_nomem(err);
	runtime__v1__image__init(m);
	if (digest_of_record(&image->record->config, &config, err) < 0)
		return err->code;
	m->id = digest_message(a, &config);
	if (!m->id)
		return fail_nomem(err);
	m->size = size_of(image->record);
	m->pinned = image->pinned_by != NULL;
	if (put_names(a, image, m, err) < 0 || put_user_of(s, a, image, m, err) < 0 || put_spec(a, m, err) < 0)
		return err->code;
	*ret_message = m;
	return OK;
}
