#include "service/image/filter.h"

enum { RESOLVE_BYTES_MAX = 4 * 1024 * 1024 };

static struct timestamp created_of(const Imaged__Store__V1__ImageRecord *r)
{
	return (struct timestamp){ .present = r->has_created,
				   .seconds = r->created_seconds,
				   .nanos = r->created_nanos };
}

/* An image without a time counts as older than any other, as docker has it. */
static bool earlier(const struct timestamp *a, const struct timestamp *b)
{
	if (a->present != b->present)
		return b->present;
	if (a->seconds != b->seconds)
		return a->seconds < b->seconds;
	return a->nanos < b->nanos;
}

static int created_of_named(struct store *s, const char *text, struct timestamp *ret_created, struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	struct image image;
	bool by_id;

	arena_init(&a, RESOLVE_BYTES_MAX);
	if (image_resolve(s, text, &a, &image, &by_id, err) < 0)
		return err->code;
	*ret_created = created_of(image.record);
	return OK;
}

int image_filter_init(struct store *s, const Imaged__V1__ImageFilter *m, struct image_filter *ret_filter,
		      struct err *err)
{
	struct image_filter f = { .message = m };

	f.has_before = m && *m->before;
	f.has_since = m && *m->since;
	if (f.has_before && created_of_named(s, m->before, &f.before, err) < 0)
		return err->code;
	if (f.has_since && created_of_named(s, m->since, &f.since, err) < 0)
		return err->code;
	if (m && m->until)
		f.until = (struct timestamp){ true, m->until->seconds, m->until->nanos };
	*ret_filter = f;
	return OK;
}

static const char *label_value(const Imaged__Store__V1__ImageRecord *r, const char *key, size_t len)
{
	for (size_t i = 0; i < r->n_labels; i++)
		if (strlen(r->labels[i]->key) == len && !memcmp(r->labels[i]->key, key, len))
			return r->labels[i]->value;
	return NULL;
}

static bool has_label(const Imaged__Store__V1__ImageRecord *r, const char *wanted)
{
	const char *equals = strchr(wanted, '=');
	const char *value = label_value(r, wanted, equals ? (size_t)(equals - wanted) : strlen(wanted));

	return value && (!equals || !strcmp(value, equals + 1));
}

static bool labels_match(const Imaged__V1__ImageFilter *m, const Imaged__Store__V1__ImageRecord *r)
{
	for (size_t i = 0; i < m->n_labels; i++)
		if (!has_label(r, m->labels[i]))
			return false;
	for (size_t i = 0; i < m->n_without_labels; i++)
		if (has_label(r, m->without_labels[i]))
			return false;
	return true;
}

static bool times_match(const struct image_filter *f, const Imaged__Store__V1__ImageRecord *r)
{
	struct timestamp created = created_of(r);

	return (!f->has_before || earlier(&created, &f->before)) && (!f->has_since || earlier(&f->since, &created)) &&
	       (!f->until.present || (created.present && earlier(&created, &f->until)));
}

static int name_matches(const Imaged__V1__ImageFilter *m, const char *name, bool *ret_match, struct err *err)
{
	struct reference ref;

	*ret_match = !m->n_references;
	if (*ret_match)
		return OK;
	if (reference_parse(name, &ref, err) < 0)
		return err->code;
	for (size_t i = 0; i < m->n_references && !*ret_match; i++)
		if (reference_match(&ref, m->references[i], ret_match, err) < 0)
			return err->code;
	return OK;
}

static int names_match(const Imaged__V1__ImageFilter *m, const struct image *image, char **names, size_t *ret_n,
		       struct err *err)
{
	for (size_t i = 0; i < image->n_names; i++) {
		bool match;

		if (name_matches(m, image->names[i], &match, err) < 0)
			return err->code;
		if (match)
			names[(*ret_n)++] = image->names[i];
	}
	return OK;
}

static bool has_tag(char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strchr(names[i], '@'))
			return true;
	return false;
}

static bool dangling_matches(const Imaged__V1__ImageFilter *m, char *const *names, size_t n)
{
	switch (m->dangling) {
	case IMAGED__V1__CHOICE__CHOICE_YES:
		return !has_tag(names, n);
	case IMAGED__V1__CHOICE__CHOICE_NO:
		return n > 0;
	default:
		return true;
	}
}

int image_filter_match(const struct image_filter *f, const struct image *image, struct arena *a, char ***ret_names,
		       size_t *ret_n, struct err *err)
{
	const Imaged__V1__ImageFilter *m = f->message;
	char **names;
	size_t n = 0;

	if (!m) {
		*ret_names = image->names;
		*ret_n = image->n_names;
		return 1;
	}
	if (!labels_match(m, image->record) || !times_match(f, image->record))
		return 0;
	names = arena_array(a, image->n_names + 1, sizeof *names);
	if (!names)
		return fail_nomem(err);
	if (names_match(m, image, names, &n, err) < 0)
		return err->code;
	if ((m->n_references && !n) || !dangling_matches(m, names, n))
		return 0;
	*ret_names = names;
	*ret_n = n;
	return 1;
}

uint64_t image_filter_hash(const Imaged__V1__ImageFilter *m)
{
	uint64_t hash = 0;
	struct digest d;
	size_t len;
	uint8_t *wire;

	if (!m)
		return 0;
	len = imaged__v1__image_filter__get_packed_size(m);
	if (!len)
		return 0; /* an empty filter is none */
	wire = malloc(len + 1);
	if (!wire)
		return 1; /* a token that fits no page: the client starts over */
	imaged__v1__image_filter__pack(m, wire);
	digest_of(DIGEST_SHA256, (struct bytes){ wire, len }, &d);
	free(wire);
	memcpy(&hash, d.bytes, sizeof hash);
	return hash;
}
