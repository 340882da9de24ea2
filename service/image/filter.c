#include "service/image/filter.h"

enum { NS_PER_S = 1000000000, RESOLVE_BYTES_MAX = 4 * 1024 * 1024 };

static int created_of(struct store *s, const char *text, int64_t *ret_ns, struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	struct image image;
	bool by_id;

	arena_init(&a, RESOLVE_BYTES_MAX);
	if (image_resolve(s, text, &a, &image, &by_id, err) < 0)
		return err->code;
	*ret_ns = image.record->has_created ? image.record->created_ns : INT64_MIN;
	return OK;
}

int image_filter_init(struct store *s, const Imaged__V1__ImageFilter *m, struct image_filter *ret_filter,
		      struct err *err)
{
	struct image_filter f = { .message = m };

	if (m && *m->before) {
		f.has_before = true;
		if (created_of(s, m->before, &f.before_ns, err) < 0)
			return err->code;
	}
	if (m && *m->since) {
		f.has_since = true;
		if (created_of(s, m->since, &f.since_ns, err) < 0)
			return err->code;
	}
	if (m && m->until) {
		f.has_until = true;
		if (__builtin_mul_overflow(m->until->seconds, (int64_t)NS_PER_S, &f.until_ns) ||
		    __builtin_add_overflow(f.until_ns, (int64_t)m->until->nanos, &f.until_ns))
			return fail(err, E_INVALID_FILTER, "invalid filter 'until': the time is out of range");
	}
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

/* An image without a time counts as older than any other, as docker has it. */
static bool times_match(const struct image_filter *f, const Imaged__Store__V1__ImageRecord *r)
{
	int64_t created = r->has_created ? r->created_ns : INT64_MIN;

	return (!f->has_before || created < f->before_ns) && (!f->has_since || created > f->since_ns) &&
	       (!f->has_until || created < f->until_ns);
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
	wire = malloc(len + 1);
	if (!wire)
		return 1; /* a token that fits no page: the client starts over */
	imaged__v1__image_filter__pack(m, wire);
	digest_of(DIGEST_SHA256, (struct bytes){ wire, len }, &d);
	free(wire);
	memcpy(&hash, d.bytes, sizeof hash);
	return hash;
}
