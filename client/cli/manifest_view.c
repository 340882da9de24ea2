#include "client/cli/manifest_view.h"

#include "client/cli/format/json_indent.h"
#include "store/types/manifest.h"

static struct bytes bytes_in(const ProtobufCBinaryData *b)
{
	return (struct bytes){ b->data, b->len };
}

static int end(struct buf *out, const struct buf *compact, struct err *err)
{
	buf_putc(out, '\n');
	return buf_ok(out) && (!compact || buf_ok(compact)) ? OK : fail_nomem(err);
}

int manifest_view_one(const Imaged__V1__RemoteManifest *m, bool verbose, struct buf *out, struct err *err)
{
	CLEANUP(buf_free) struct buf compact = BUF_INIT(MANIFEST_JSON_MAX);

	if (verbose)
		manifest_json_put(&compact, m);
	json_indent(out, verbose ? buf_bytes(&compact) : bytes_in(&m->manifest), "\t");
	return end(out, &compact, err);
}

static int view_whole(Imaged__V1__RemoteManifest *const *items, size_t n, struct buf *out, struct err *err)
{
	CLEANUP(buf_free) struct buf compact = BUF_INIT(MANIFEST_JSON_MAX);

	buf_putc(&compact, '[');
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_putc(&compact, ',');
		manifest_json_put(&compact, items[i]);
	}
	buf_putc(&compact, ']');
	json_indent(out, buf_bytes(&compact), "\t");
	return end(out, &compact, err);
}

int manifest_list_document(const struct manifest_list *l, struct buf *out, struct err *err)
{
	CLEANUP(freep) Imaged__V1__Descriptor **entries = calloc(l->n + 1, sizeof(*entries));

	if (!entries)
		return fail_nomem(err);
	for (size_t i = 0; i < l->n; i++)
		entries[i] = l->items[i]->descriptor;
	manifest_json_put_list(out, entries, l->n);
	return buf_ok(out) ? OK : fail_nomem(err);
}

int manifest_view_list(const struct manifest_list *l, bool verbose, struct buf *out, struct err *err)
{
	if (verbose)
		return view_whole(l->items, l->n, out, err);
	return manifest_list_document(l, out, err) < 0 ? err->code : end(out, NULL, err);
}

int manifest_list_check(const struct manifest_list *l, const struct reference *list, struct err *err)
{
	struct reference ref;

	for (size_t i = 0; i < l->n; i++) {
		if (reference_parse(l->items[i]->reference, &ref, err) < 0)
			return err->code;
		if (strcmp(ref.domain, list->domain) != 0)
			return fail(
				err, E_INVALID,
				"cannot use source images from a different registry than the target image: %s != %s",
				ref.domain, list->domain);
	}
	return OK;
}

/* ---- of a registry --------------------------------------------------------- */

static bool is_index(const Imaged__V1__InspectRemoteResponse *m)
{
	return m->descriptor && media_is_index(media_type_of(m->descriptor->media_type).kind);
}

/* The answer stays as it is: what is changed is a copy. */
static Imaged__V1__RemoteManifest *with_platform(const Imaged__V1__RemoteManifest *m, Imaged__V1__Platform *platform,
						 struct arena *a)
{
	Imaged__V1__RemoteManifest *copy = arena_alloc(a, sizeof *copy);
	Imaged__V1__Descriptor *d = arena_alloc(a, sizeof *d);

	if (!copy || !d)
		return NULL;
	*d = *m->descriptor;
	d->platform = platform;
	*copy = *m;
	copy->descriptor = d;
	return copy;
}

int manifest_of_remote(const struct reference *ref, const Imaged__V1__InspectRemoteResponse *m, struct arena *a,
		       Imaged__V1__RemoteManifest **ret_manifest, struct err *err)
{
	Imaged__V1__Platform *platform;
	char name[REFERENCE_TEXT_MAX];

	*ret_manifest = NULL;
	if (is_index(m))
		return OK;
	if (m->n_manifests != 1 || !m->manifests[0]->descriptor)
		return fail(err, E_UNKNOWN, "the daemon sent no manifest");
	if (manifest_json_platform(bytes_in(&m->manifests[0]->config), a, &platform, err) < 0)
		return err->code;
	*ret_manifest = with_platform(m->manifests[0], platform, a);
	if (!*ret_manifest)
		return fail_nomem(err);
	(*ret_manifest)->reference = arena_string(a, reference_text(ref, name));
	return (*ret_manifest)->reference ? OK : fail_nomem(err);
}

/* The platforms of the manifests are those that the index says. */
static int view_verbose(const Imaged__V1__InspectRemoteResponse *m, Imaged__V1__Descriptor *const *entries, size_t n,
			struct arena *a, struct buf *out, struct err *err)
{
	Imaged__V1__RemoteManifest **items = arena_array(a, n + 1, sizeof(*items));

	if (!items)
		return fail_nomem(err);
	if (n != m->n_manifests)
		return fail(err, E_UNKNOWN, "the daemon sent %zu manifests of %zu", m->n_manifests, n);
	for (size_t i = 0; i < n; i++) {
		if (!m->manifests[i]->descriptor)
			return fail(err, E_UNKNOWN, "the daemon sent a manifest without a descriptor");
		items[i] = with_platform(m->manifests[i], entries[i]->platform, a);
		if (!items[i])
			return fail_nomem(err);
	}
	return view_whole(items, n, out, err);
}

static int view_index(const Imaged__V1__InspectRemoteResponse *m, bool verbose, struct arena *a, struct buf *out,
		      struct err *err)
{
	Imaged__V1__Descriptor **entries;
	size_t n;

	if (manifest_json_entries(bytes_in(&m->manifest), a, &entries, &n, err) < 0)
		return err->code;
	if (verbose)
		return view_verbose(m, entries, n, a, out, err);
	manifest_json_put_list(out, entries, n);
	return end(out, NULL, err);
}

int manifest_view_remote(const struct reference *ref, const Imaged__V1__InspectRemoteResponse *m, bool verbose,
			 struct buf *out, struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	Imaged__V1__RemoteManifest *one;

	arena_init(&a, MANIFEST_ARENA_MAX);
	if (is_index(m))
		return view_index(m, verbose, &a, out, err);
	if (!verbose) {
		json_indent(out, bytes_in(&m->manifest), "\t");
		return end(out, NULL, err);
	}
	if (manifest_of_remote(ref, m, &a, &one, err) < 0)
		return err->code;
	return manifest_view_one(one, true, out, err);
}
