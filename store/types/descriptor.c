#include "store/types/descriptor.h"

#include "proto/runtime/base64.h"

enum { URL_MAX = 8192 };

char *printable_text(const char *text, char *out, size_t size)
{
	size_t n = 0;

	for (; text[n] && n + 1 < size; n++)
		out[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
	out[n] = 0;
	return out;
}

static size_t token_len(const char *text)
{
	return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$&-^_.+");
}

static bool is_media_type(const char *text)
{
	size_t n = token_len(text);
	const char *end;

	if (!n || text[n] != '/')
		return false;
	text += n + 1;
	n = token_len(text);
	end = text + n + strspn(text + n, " ");
	if (!n || (*end && *end != ';'))
		return false;
	for (; *end; end++)
		if (*end < ' ' || *end > '~')
			return false;
	return true;
}

int media_type_read(const struct jnode *n, const char **ret_text, struct err *err)
{
	const char *text;
	int r = jnode_text(n, MEDIA_TYPE_MAX - 1, &text, err);

	if (r < 0)
		return r;
	if (jnode_present(n) && !is_media_type(text))
		return jnode_fail(n, E_BAD_CONTENT, err, "not a media type");
	*ret_text = text;
	return OK;
}

int annotations_check(const struct jnode *n, struct err *err)
{
	size_t count;
	const char *key;
	json_t *value;
	int r = jnode_map(n, ANNOTATIONS_MAX, &count, err);

	if (r < 0)
		return r;
	json_object_foreach(n->value, key, value) if (!json_is_string(value)) return jnode_fail(
		n, E_BAD_CONTENT, err, "a value is not a string");
	return OK;
}

static int read_urls(const struct jnode *n, struct descriptor *d, struct err *err)
{
	size_t count;
	int r = jnode_array(n, DESCRIPTOR_URLS_MAX, &count, err);

	if (r < 0 || !count)
		return r;
	d->urls = calloc(count, sizeof *d->urls);
	if (!d->urls)
		return fail_nomem(err);
	for (size_t i = 0; r == OK && i < count; i++) {
		struct jnode item = jnode_item(n, i);

		r = jnode_require(&item, err);
		if (r == OK)
			r = jnode_string(&item, URL_MAX, &d->urls[i], err);
		d->n_urls += r == OK;
	}
	return r;
}

static int read_part(const struct jnode *platform, const char *name, char out[PLATFORM_PART_MAX], struct err *err)
{
	struct jnode n = jnode_member(platform, name);
	const char *text;
	int r = jnode_text(&n, PLATFORM_PART_MAX - 1, &text, err);

	if (r == OK)
		memcpy(out, text, strlen(text) + 1);
	return r;
}

static int require_members(const struct jnode *n, const char *const names[], struct err *err)
{
	for (; *names; names++) {
		struct jnode member = jnode_member(n, *names);
		int r = jnode_require(&member, err);

		if (r < 0)
			return r;
	}
	return OK;
}

/* The parts stay as written; platform_rank() and platform_eq() normalise. */
static int read_platform(const struct jnode *n, struct descriptor *d, struct err *err)
{
	static const char *const required[] = { "architecture", "os", NULL };
	struct platform p = { 0 };
	int r = jnode_object(n, err);

	if (r < 0 || !jnode_present(n))
		return r;
	r = require_members(n, required, err);
	if (r == OK)
		r = read_part(n, "architecture", p.architecture, err);
	if (r == OK)
		r = read_part(n, "os", p.os, err);
	if (r == OK)
		r = read_part(n, "variant", p.variant, err);
	if (r == OK)
		r = read_part(n, "os.version", p.os_version, err);
	if (r < 0)
		return r;
	d->platform = p;
	d->has_platform = p.os[0] || p.architecture[0];
	return OK;
}

int descriptor_check_data(const struct descriptor *d, struct err *err)
{
	char text[DIGEST_TEXT_MAX];
	struct digest found;

	if (!d->data.data)
		return OK;
	digest_of(d->digest.algorithm, d->data, &found);
	if ((int64_t)d->data.len == d->size && digest_eq(&found, &d->digest))
		return OK;
	return fail(err, E_BAD_CONTENT, "the %zu bytes that the manifest embeds for %s are not those of the digest",
		    d->data.len, digest_text(&d->digest, text));
}

static int read_data(const struct jnode *n, struct descriptor *d, struct err *err)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(MANIFEST_BYTES_MAX);
	const char *text;
	int r = jnode_text(n, MANIFEST_BYTES_MAX, &text, err);

	if (r < 0 || !*text)
		return r;
	if (!base64_decode(&bytes, text))
		return bytes.failed ? fail_nomem(err) : jnode_fail(n, E_BAD_CONTENT, err, "not base64");
	d->data.len = bytes.len;
	d->data.data = (uint8_t *)buf_take(&bytes);
	return d->data.data ? OK : fail_nomem(err);
}

static int read_extras(const struct jnode *n, struct descriptor *d, struct err *err)
{
	struct jnode urls = jnode_member(n, "urls"), annotations = jnode_member(n, "annotations");
	struct jnode data = jnode_member(n, "data"), artifact = jnode_member(n, "artifactType");
	const char *text;
	int r = read_urls(&urls, d, err);

	if (r == OK)
		r = annotations_check(&annotations, err);
	if (r == OK)
		r = read_data(&data, d, err);
	if (r == OK)
		r = media_type_read(&artifact, &text, err);
	return r;
}

static bool is_attestation(const struct jnode *n)
{
	struct jnode annotations = jnode_member(n, "annotations");
	struct jnode type = jnode_member(&annotations, "vnd.docker.reference.type");
	const char *text = json_string_value(type.value);

	return text && !strcmp(text, "attestation-manifest");
}

static int read_type(const struct jnode *n, bool optional, struct descriptor *d, struct err *err)
{
	struct jnode type = jnode_member(n, "mediaType");
	const char *text = json_string_value(type.value);
	int r = OK;

	if (!optional)
		r = jnode_require(&type, err);
	if (r == OK && optional && text && !*text)
		type.value = NULL;
	if (r == OK)
		r = media_type_read(&type, &text, err);
	if (r < 0)
		return r;
	d->type = media_type_of(text);
	d->media_type = strdup(text);
	return d->media_type ? OK : fail_nomem(err);
}

int descriptor_read(const struct jnode *n, bool type_optional, struct descriptor *ret_descriptor, struct err *err)
{
	struct jnode digest = jnode_member(n, "digest"), size = jnode_member(n, "size");
	struct jnode platform = jnode_member(n, "platform");
	CLEANUP(descriptor_free) struct descriptor d = { 0 };
	int r = jnode_require(n, err);

	if (r == OK)
		r = jnode_object(n, err);
	if (r == OK)
		r = read_type(n, type_optional, &d, err);
	if (r == OK)
		r = jnode_digest(&digest, &d.digest, err);
	if (r == OK)
		r = jnode_integer(&size, 0, INT64_MAX, &d.size, err);
	if (r == OK)
		r = read_platform(&platform, &d, err);
	if (r == OK)
		r = read_extras(n, &d, err);
	if (r < 0)
		return r;
	d.attestation = is_attestation(n);
	*ret_descriptor = TAKE(d);
	return OK;
}

void descriptor_free(struct descriptor *d)
{
	free(d->media_type);
	free((void *)d->data.data);
	for (size_t i = 0; i < d->n_urls; i++)
		free(d->urls[i]);
	free(d->urls);
	*d = (struct descriptor){ .media_type = NULL };
}

static int read_items(const struct jnode *n, struct descriptor *items, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		struct jnode item = jnode_item(n, i);
		int r = descriptor_read(&item, false, &items[i], err);

		if (r < 0)
			return r;
	}
	return OK;
}

int descriptors_read(const struct jnode *n, size_t max, struct descriptor **ret_items, size_t *ret_count,
		     struct err *err)
{
	struct descriptor *items;
	size_t count;
	int r = jnode_array(n, max, &count, err);

	if (r < 0)
		return r;
	items = calloc(count ? count : 1, sizeof *items);
	if (!items)
		return fail_nomem(err);
	r = read_items(n, items, count, err);
	if (r < 0) {
		descriptors_free(items, count);
		return r;
	}
	*ret_items = items;
	*ret_count = count;
	return OK;
}

void descriptors_free(struct descriptor *items, size_t count)
{
	for (size_t i = 0; items && i < count; i++)
		descriptor_free(&items[i]);
	free(items);
}
