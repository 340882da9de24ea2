#include "service/image/synthetic_manifest.h"

#include <jansson.h>

#include "service/layer/magic.h"
#include "store/types/json.h"

int layer_media_type(int fd, const char **ret_type, struct err *err)
{
	enum inflate_format format = INFLATE_PLAIN;

	if (magic_of_file(fd, &format, err) < 0)
		return err->code;
	*ret_type = format == INFLATE_GZIP   ? "application/vnd.oci.image.layer.v1.tar+gzip"
		    : format == INFLATE_ZSTD ? "application/vnd.oci.image.layer.v1.tar+zstd"
					     : "application/vnd.oci.image.layer.v1.tar";
	return OK;
}

static void put_descriptor(struct buf *out, const char *type, const struct digest *d, int64_t size)
{
	char text[DIGEST_TEXT_MAX];

	buf_printf(out, "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%lld}", type, digest_text(d, text),
		   (long long)size);
}

int synthetic_manifest(const struct digest *config, int64_t config_size, const struct synthetic_layer *layers, size_t n,
		       struct buf *out, struct err *err)
{
	buf_puts(out, "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":");
	put_descriptor(out, "application/vnd.oci.image.config.v1+json", config, config_size);
	buf_puts(out, ",\"layers\":[");
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_putc(out, ',');
		put_descriptor(out, layers[i].media_type, &layers[i].digest, layers[i].size);
	}
	buf_puts(out, "]}");
	return buf_ok(out) ? OK : fail_nomem(err);
}

int docker_manifest(const struct digest *config, int64_t config_size, const struct synthetic_layer *layers, size_t n,
		    struct buf *out, struct err *err)
{
	char text[DIGEST_TEXT_MAX];

	buf_printf(out,
		   "{\n   \"schemaVersion\": 2,\n"
		   "   \"mediaType\": \"application/vnd.docker.distribution.manifest.v2+json\",\n"
		   "   \"config\": {\n      \"mediaType\": \"application/vnd.docker.container.image.v1+json\",\n"
		   "      \"size\": %lld,\n      \"digest\": \"%s\"\n   },\n   \"layers\": [",
		   (long long)config_size, digest_text(config, text));
	for (size_t i = 0; i < n; i++)
		buf_printf(
			out,
			"%s\n      {\n         \"mediaType\": \"application/vnd.docker.image.rootfs.diff.tar.gzip\",\n"
			"         \"size\": %lld,\n         \"digest\": \"%s\"\n      }",
			i ? "," : "", (long long)layers[i].size, digest_text(&layers[i].digest, text));
	buf_puts(out, n ? "\n   ]\n}" : "]\n}");
	return buf_ok(out) ? OK : fail_nomem(err);
}

/* ---- with annotations -------------------------------------------------------------- */

static int append(const char *text, size_t len, void *out)
{
	return buf_append(out, text, len) ? 0 : -1;
}

static json_t *descriptors(const struct synthetic_layer *layers, size_t n)
{
	json_t *list = json_array();
	char text[DIGEST_TEXT_MAX];

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "mediaType", layers[i].media_type,
							  "digest", digest_text(&layers[i].digest, text), "size",
							  (json_int_t)layers[i].size))) {
			json_decref(list);
			return NULL;
		}
	return list;
}

int annotated_manifest(struct bytes manifest, const struct synthetic_layer *layers, size_t n, bool *ret_made,
		       struct buf *out, struct err *err)
{
	CLEANUP(json_decrefp) json_t *document = NULL;
	json_error_t why;

	*ret_made = false;
	if (json_read_light(manifest, JSON_REJECT_DUPLICATES, &document, &why, err) < 0)
		return err->code;
	if (!json_object_size(json_object_get(document, "annotations")))
		return OK;
	if (json_object_set_new(document, "layers", descriptors(layers, n)) ||
	    json_dump_callback(document, append, out, JSON_COMPACT | JSON_PRESERVE_ORDER))
		return fail_nomem(err);
	*ret_made = true;
	return OK;
}
