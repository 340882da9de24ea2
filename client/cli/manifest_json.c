#include "client/cli/manifest_json.h"

#include "client/cli/format/json_indent.h"
#include "client/cli/value/json.h"
#include "proto/runtime/base64.h"
#include "store/types/json.h"
#include "store/types/manifest.h"

enum { OS_FEATURES_MAX = 64 };

/* ---- writing --------------------------------------------------------------- */

static void put_text(struct buf *out, const char *text)
{
	json_put_string(out, (struct text){ text, strlen(text) }, true);
}

static void put_member(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, "\"%s\":", name);
	put_text(out, text);
}

/* One that may be left out. */
static void put_optional(struct buf *out, const char *name, const char *text)
{
	if (!*text)
		return;
	buf_putc(out, ',');
	put_member(out, name, text);
}

static void put_os_features(struct buf *out, const Imaged__V1__Platform *p)
{
	if (!p->n_os_features)
		return;
	buf_puts(out, ",\"os.features\":[");
	for (size_t i = 0; i < p->n_os_features; i++) {
		if (i)
			buf_putc(out, ',');
		put_text(out, p->os_features[i]);
	}
	buf_putc(out, ']');
}

static void put_platform(struct buf *out, const Imaged__V1__Platform *p)
{
	static const Imaged__V1__Platform nothing = IMAGED__V1__PLATFORM__INIT;

	p = p ? p : &nothing;
	buf_puts(out, ",\"platform\":{");
	put_member(out, "architecture", p->architecture);
	buf_putc(out, ',');
	put_member(out, "os", p->os);
	put_optional(out, "os.version", p->os_version);
	put_os_features(out, p);
	put_optional(out, "variant", p->variant);
	buf_putc(out, '}');
}

static const char *body_name(const char *media_type)
{
	switch (media_type_of(media_type).kind) {
	case MEDIA_DOCKER_MANIFEST:
		return "SchemaV2Manifest";
	case MEDIA_OCI_MANIFEST:
		return "OCIManifest";
	default:
		return "Index";
	}
}

void manifest_json_put(struct buf *out, const Imaged__V1__RemoteManifest *m)
{
	const Imaged__V1__Descriptor *d = m->descriptor;

	buf_putc(out, '{');
	put_member(out, "Ref", m->reference);
	buf_puts(out, ",\"Descriptor\":{");
	put_member(out, "mediaType", d->media_type);
	buf_putc(out, ',');
	put_member(out, "digest", d->digest);
	buf_printf(out, ",\"size\":%lld", (long long)d->size);
	put_platform(out, d->platform);
	buf_puts(out, "},\"Raw\":\"");
	base64_encode(out, m->manifest.data, m->manifest.len);
	buf_printf(out, "\",\"%s\":", body_name(d->media_type));
	json_compact(out, (struct bytes){ m->manifest.data, m->manifest.len });
	buf_putc(out, '}');
}

void manifest_json_put_list(struct buf *out, Imaged__V1__Descriptor *const *entries, size_t n)
{
	CLEANUP(buf_free) struct buf compact = BUF_INIT(MANIFEST_JSON_MAX);
	bool oci = n && media_type_of(entries[0]->media_type).kind == MEDIA_OCI_MANIFEST;

	buf_puts(&compact, "{\"schemaVersion\":2,");
	put_member(&compact, "mediaType", media_kind_name(oci ? MEDIA_OCI_INDEX : MEDIA_DOCKER_LIST));
	buf_puts(&compact, ",\"manifests\":[");
	for (size_t i = 0; i < n; i++) {
		buf_puts(&compact, i ? ",{" : "{");
		put_member(&compact, "mediaType", entries[i]->media_type);
		buf_printf(&compact, ",\"size\":%lld,", (long long)entries[i]->size);
		put_member(&compact, "digest", entries[i]->digest);
		put_platform(&compact, entries[i]->platform);
		buf_putc(&compact, '}');
	}
	buf_puts(&compact, "]}");
	json_indent(out, buf_bytes(&compact), "   ");
	out->failed |= compact.failed;
}

/* ---- reading --------------------------------------------------------------- */

static char *take_text(const json_t *object, const char *key, struct arena *a)
{
	const char *text = json_string_value(json_object_get(object, key));

	return arena_string(a, text ? text : "");
}

static int take_os_features(const json_t *list, struct arena *a, Imaged__V1__Platform *p, struct err *err)
{
	size_t n = json_array_size(list);

	if (n > OS_FEATURES_MAX)
		return fail(err, E_INVALID, "a platform has more than %d features", OS_FEATURES_MAX);
	p->os_features = arena_array(a, n + 1, sizeof *p->os_features);
	for (size_t i = 0; p->os_features && i < n; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		p->os_features[i] = arena_string(a, text ? text : "");
		if (!p->os_features[i])
			return fail_nomem(err);
	}
	p->n_os_features = n;
	return p->os_features ? OK : fail_nomem(err);
}

/* Of an object that has the members of a platform, whatever else it has. */
static int take_platform(const json_t *object, struct arena *a, Imaged__V1__Platform **ret_platform, struct err *err)
{
	Imaged__V1__Platform *p = arena_alloc(a, sizeof *p);

	if (!p)
		return fail_nomem(err);
	imaged__v1__platform__init(p);
	p->architecture = take_text(object, "architecture", a);
	p->os = take_text(object, "os", a);
	p->os_version = take_text(object, "os.version", a);
	p->variant = take_text(object, "variant", a);
	if (!p->architecture || !p->os || !p->os_version || !p->variant)
		return fail_nomem(err);
	*ret_platform = p;
	return take_os_features(json_object_get(object, "os.features"), a, p, err);
}

static int take_descriptor(const json_t *object, struct arena *a, Imaged__V1__Descriptor **ret_descriptor,
			   struct err *err)
{
	Imaged__V1__Descriptor *d = arena_alloc(a, sizeof *d);
	struct digest digest;

	if (!d)
		return fail_nomem(err);
	imaged__v1__descriptor__init(d);
	d->media_type = take_text(object, "mediaType", a);
	d->digest = take_text(object, "digest", a);
	d->size = json_integer_value(json_object_get(object, "size"));
	if (!d->media_type || !d->digest)
		return fail_nomem(err);
	if (digest_parse(d->digest, &digest, err) < 0)
		return err_wrap(err, "a manifest's digest");
	*ret_descriptor = d;
	return take_platform(json_object_get(object, "platform"), a, &d->platform, err);
}

static int read_json(struct bytes text, json_t **ret_json, struct err *err)
{
	json_error_t why;

	return json_read_light(text, JSON_REJECT_DUPLICATES, ret_json, &why, err);
}

int manifest_json_entries(struct bytes index, struct arena *a, Imaged__V1__Descriptor ***ret_entries, size_t *ret_n,
			  struct err *err)
{
	CLEANUP(json_decrefp) json_t *json = NULL;
	const json_t *list;
	size_t n;

	if (read_json(index, &json, err) < 0)
		return err->code;
	list = json_object_get(json, "manifests");
	n = json_array_size(list);
	*ret_entries = arena_array(a, n + 1, sizeof **ret_entries);
	if (!*ret_entries)
		return fail_nomem(err);
	for (size_t i = 0; i < n; i++)
		if (take_descriptor(json_array_get(list, i), a, &(*ret_entries)[i], err) < 0)
			return err->code;
	*ret_n = n;
	return OK;
}

int manifest_json_platform(struct bytes config, struct arena *a, Imaged__V1__Platform **ret_platform, struct err *err)
{
	CLEANUP(json_decrefp) json_t *json = NULL;

	if (config.len && read_json(config, &json, err) < 0)
		return err->code;
	return take_platform(json, a, ret_platform, err);
}

/* The bytes that the digest is of. */
static int take_body(const json_t *file, struct arena *a, Imaged__V1__RemoteManifest *m, struct err *err)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(MANIFEST_BYTES_MAX);
	const char *raw = json_string_value(json_object_get(file, "Raw"));
	struct digest said, got;
	char text[DIGEST_TEXT_MAX];

	if (!raw || !*raw)
		return fail(err, E_INVALID, "it does not hold the manifest's bytes, as those of an old client");
	if (!base64_decode(&body, raw))
		return fail(err, E_INVALID, "the manifest's bytes are damaged");
	if (digest_parse(m->descriptor->digest, &said, err) < 0)
		return err->code;
	digest_of(said.algorithm, buf_bytes(&body), &got);
	if (!digest_eq(&said, &got))
		return fail(err, E_INVALID, "image manifest digest mismatch (%s != %s)", m->descriptor->digest,
			    digest_text(&got, text));
	m->manifest.data = (uint8_t *)arena_bytes(a, buf_bytes(&body));
	m->manifest.len = body.len;
	return m->manifest.data ? OK : fail_nomem(err);
}

int manifest_json_read(const json_t *file, struct arena *a, Imaged__V1__RemoteManifest **ret_manifest, struct err *err)
{
	Imaged__V1__RemoteManifest *m = arena_alloc(a, sizeof *m);

	if (!m)
		return fail_nomem(err);
	imaged__v1__remote_manifest__init(m);
	m->reference = take_text(file, "Ref", a);
	if (!m->reference)
		return fail_nomem(err);
	if (take_descriptor(json_object_get(file, "Descriptor"), a, &m->descriptor, err) < 0 ||
	    take_body(file, a, m, err) < 0)
		return err->code;
	*ret_manifest = m;
	return OK;
}
