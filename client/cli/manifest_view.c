#include "client/cli/manifest_view.h"

#include "client/cli/format/json_indent.h"
#include "client/cli/value/json.h"
#include "proto/runtime/base64.h"
#include "store/types/manifest.h"

enum { OUTPUT_MAX = 64 * 1024 * 1024 };

static void put_member(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, "\"%s\":", name);
	json_put_string(out, text_of(text), true);
}

/* One that may be left out. */
static void put_optional(struct buf *out, const char *name, const char *text)
{
	if (!*text)
		return;
	buf_putc(out, ',');
	put_member(out, name, text);
}

static void put_platform(struct buf *out, const Imaged__V1__Platform *p)
{
	buf_puts(out, ",\"platform\":{");
	put_member(out, "architecture", p->architecture);
	buf_putc(out, ',');
	put_member(out, "os", p->os);
	put_optional(out, "os.version", p->os_version);
	put_optional(out, "variant", p->variant);
	buf_putc(out, '}');
}

static void put_descriptor(struct buf *out, const Imaged__V1__Descriptor *d)
{
	buf_putc(out, '{');
	put_member(out, "mediaType", d->media_type);
	buf_putc(out, ',');
	put_member(out, "digest", d->digest);
	buf_printf(out, ",\"size\":%lld", (long long)d->size);
	if (d->platform)
		put_platform(out, d->platform);
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

static struct bytes bytes_in(const ProtobufCBinaryData *b)
{
	return (struct bytes){ b->data, b->len };
}

static int put_manifest(struct buf *out, const Imaged__V1__RemoteManifest *m, struct err *err)
{
	if (!m->descriptor)
		return fail(err, E_UNKNOWN, "the daemon sent a manifest without a descriptor");
	buf_putc(out, '{');
	put_member(out, "Ref", m->reference);
	buf_puts(out, ",\"Descriptor\":");
	put_descriptor(out, m->descriptor);
	buf_puts(out, ",\"Raw\":\"");
	base64_encode(out, m->manifest.data, m->manifest.len);
	buf_printf(out, "\",\"%s\":", body_name(m->descriptor->media_type));
	buf_append(out, m->manifest.data, m->manifest.len);
	buf_putc(out, '}');
	return OK;
}

static int put_verbose(struct buf *out, const Imaged__V1__InspectRemoteResponse *m, bool is_index, struct err *err)
{
	int r = OK;

	if (is_index)
		buf_putc(out, '[');
	for (size_t i = 0; i < m->n_manifests && !r; i++) {
		if (i)
			buf_putc(out, ',');
		r = put_manifest(out, m->manifests[i], err);
	}
	if (is_index)
		buf_putc(out, ']');
	return r;
}

int manifest_view(const Imaged__V1__InspectRemoteResponse *m, bool verbose, struct buf *out, struct err *err)
{
	CLEANUP(buf_free) struct buf compact = BUF_INIT(OUTPUT_MAX);
	bool is_index = m->descriptor && media_is_index(media_type_of(m->descriptor->media_type).kind);
	int r = verbose ? put_verbose(&compact, m, is_index, err) : OK;

	if (r)
		return r;
	if (verbose)
		json_indent(out, buf_bytes(&compact), "\t");
	else
		json_indent(out, bytes_in(&m->manifest), is_index ? "   " : "\t");
	buf_putc(out, '\n');
	return buf_ok(&compact) && buf_ok(out) ? OK : fail_nomem(err);
}
