#include "store/image/image_record.h"
#include "store/image/name.h"
#include "store/image/names.h"
#include "store/internal.h"

enum { HEX_SHA256 = 64, SAME_CONFIG_MAX = 8 };

/* ---- texts of failure ----------------------------------------------------- */

static int no_such_id(const char *hex, struct err *err)
{
	return fail(err, E_NO_SUCH_IMAGE, "No such image: sha256:%s", hex);
}

static int no_such_reference(const struct reference *ref, struct err *err)
{
	struct reference full = *ref;
	char text[REFERENCE_TEXT_MAX];

	reference_default_tag(&full);
	return fail(err, E_NO_SUCH_IMAGE, "No such image: %s", reference_familiar(&full, text));
}

/* ---- by ID ---------------------------------------------------------------- */

static const char *hex_of(const char *text)
{
	return strncmp(text, "sha256:", 7) ? text : text + 7;
}

/* By image ID, else by manifest digest. */
static int by_digest(struct store *s, const struct gone *gone, const struct digest *d, struct arena *arena,
		     struct image *ret_image, struct err *err)
{
	struct digest manifest;
	int r = first_manifest_of(s, d, &manifest, err);

	if (r == E_NOT_FOUND) {
		manifest = *d;
		r = OK;
	}
	if (gone_has_record(gone, &manifest))
		return fail(err, E_NOT_FOUND, "no image of this ID");
	return r == OK ? image_fill(s, &manifest, arena, ret_image, err) : r;
}

static int by_full_id(struct store *s, const struct gone *gone, const char *hex, struct arena *arena,
		      struct image *ret_image, struct err *err)
{
	char text[DIGEST_TEXT_MAX];
	struct digest d;
	int r;

	snprintf(text, sizeof text, "sha256:%s", hex);
	r = digest_parse(text, &d, err);
	if (r == OK)
		r = by_digest(s, gone, &d, arena, ret_image, err);
	return r == E_NOT_FOUND ? no_such_id(hex, err) : r;
}

/* ---- by prefix ------------------------------------------------------------ */

struct matches {
	const struct gone *gone;
	struct digest digests[SAME_CONFIG_MAX];
	size_t n;
	bool ambiguous;
};

static bool match_config(void *arg, struct bytes key, UNUSED struct bytes value, UNUSED uint64_t revision)
{
	struct digest config, manifest;
	struct matches *m = arg;

	if (!key_parse_config(key, &config, &manifest) || gone_has_record(m->gone, &manifest))
		return true;
	m->ambiguous = m->n && !digest_eq(&m->digests[0], &config);
	m->digests[0] = config;
	m->n = 1;
	return !m->ambiguous;
}

static bool match_manifest(void *arg, struct bytes key, UNUSED struct bytes value, UNUSED uint64_t revision)
{
	struct matches *m = arg;
	struct digest manifest;

	if (!key_parse_image(key, &manifest) || gone_has_record(m->gone, &manifest))
		return true;
	m->ambiguous = m->n == SAME_CONFIG_MAX;
	if (!m->ambiguous)
		m->digests[m->n++] = manifest;
	return !m->ambiguous;
}

static int config_by_prefix(struct store *s, const char *hex, struct matches *m, struct err *err)
{
	struct key from, to;

	key_config_hex_range(hex, &from, &to);
	return meta_range(s->shared, key_bytes(&from), key_bytes(&to), match_config, m, err);
}

/* Several manifests are one image when they have one configuration. */
static int manifest_by_prefix(struct store *s, const char *hex, struct arena *arena, struct matches *m, struct err *err)
{
	struct key from, to;
	struct digest first;
	int r;

	key_image_hex_range(hex, &from, &to);
	r = meta_range(s->shared, key_bytes(&from), key_bytes(&to), match_manifest, m, err);
	for (size_t i = 0; r == OK && i < m->n && !m->ambiguous; i++) {
		Imaged__Store__V1__ImageRecord *record;
		struct digest config;

		r = image_record_get(s, &m->digests[i], arena, &record, &config, err);
		if (!i)
			first = config;
		m->ambiguous = r == OK && !digest_eq(&first, &config);
	}
	return r;
}

static int by_prefix(struct store *s, const struct gone *gone, const char *hex, struct arena *arena,
		     struct image *ret_image, struct err *err)
{
	struct matches configs = { .gone = gone }, manifests = { .gone = gone };
	int r = config_by_prefix(s, hex, &configs, err);

	if (r == OK && !configs.n)
		r = manifest_by_prefix(s, hex, arena, &manifests, err);
	if (r != OK)
		return r;
	if (configs.ambiguous || manifests.ambiguous || configs.n + manifests.n == 0)
		return fail(err, E_NOT_FOUND, "no single image has this ID");
	return by_digest(s, gone, configs.n ? &configs.digests[0] : &manifests.digests[0], arena, ret_image, err);
}

bool image_id_is_ambiguous(struct store *s, const char *text)
{
	struct matches configs = { .n = 0 };

	return reference_is_id_prefix(text) && config_by_prefix(s, hex_of(text), &configs, NULL) == OK &&
	       configs.ambiguous;
}

/* ---- by name -------------------------------------------------------------- */

static int by_reference(struct store *s, const struct gone *gone, const struct reference *ref, struct arena *arena,
			struct image *ret_image, struct err *err)
{
	struct reference full = *ref;
	char text[REFERENCE_TEXT_MAX];
	struct name n;
	int r;

	reference_default_tag(&full);
	r = name_text(&full, text, err);
	if (r == OK)
		r = name_read(s, text, &n, err);
	if (r == OK && (!n.revision || gone_has_name(gone, text)))
		r = fail(err, E_NOT_FOUND, "no name '%s'", text);
	return r == OK ? image_fill(s, &n.manifest, arena, ret_image, err) : r;
}

int image_resolve_without(struct store *s, const struct gone *gone, const char *text, struct arena *arena,
			  struct image *ret_image, bool *ret_by_id, struct err *err)
{
	bool id_like = reference_is_id_prefix(text);
	struct reference ref;
	int r;

	*ret_by_id = false;
	if (id_like && strlen(hex_of(text)) == HEX_SHA256) {
		*ret_by_id = true;
		return by_full_id(s, gone, hex_of(text), arena, ret_image, err);
	}
	r = reference_parse(text, &ref, err);
	if (r != OK)
		return r;
	r = by_reference(s, gone, &ref, arena, ret_image, err);
	if (r != E_NOT_FOUND)
		return r;
	if (id_like) {
		r = by_prefix(s, gone, hex_of(text), arena, ret_image, err);
		*ret_by_id = r == OK;
	}
	return r == E_NOT_FOUND ? no_such_reference(&ref, err) : r;
}

int image_resolve(struct store *s, const char *text, struct arena *arena, struct image *ret_image, bool *ret_by_id,
		  struct err *err)
{
	return image_resolve_without(s, NULL, text, arena, ret_image, ret_by_id, err);
}
