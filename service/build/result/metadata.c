/* What the client is told of an image, and what --metadata-file writes: buildx's keys. */
#include <jansson.h>

#include "service/build/result/exporting.h"
#include "service/image/convert.h"

static int join_names(const struct exporting *x, struct buf *out)
{
	char text[REFERENCE_TEXT_MAX];

	for (size_t i = 0; i < x->n_names; i++)
		buf_printf(out, "%s%s", i ? "," : "", reference_text(&x->names[i], text));
	return buf_ok(out) ? OK : E_NO_MEMORY;
}

static json_t *descriptor_of(const struct made_document *root)
{
	char text[DIGEST_TEXT_MAX];

	return json_pack("{s:s, s:s, s:I}", "mediaType", root->media_type, "digest", digest_text(&root->digest, text),
			 "size", (json_int_t)root->body.len);
}

static int append(const char *text, size_t len, void *out)
{
	return buf_append(out, text, len) ? 0 : -1;
}

static int write_json(const struct exporting *x, struct buf *out, struct err *err)
{
	const struct made_document *root = made_root(&x->made);
	CLEANUP(buf_free) struct buf names = BUF_INIT(1024 * 1024);
	CLEANUP(buf_free) struct buf ref = BUF_INIT(256);
	char config[DIGEST_TEXT_MAX], digest[DIGEST_TEXT_MAX];
	CLEANUP(json_decrefp) json_t *j = NULL;

	digest_text(&made_chosen(&x->made)->config.digest, config);
	digest_text(&root->digest, digest);
	if (join_names(x, &names) < 0 || !buf_printf(&ref, "default/default/%s", x->r->build_id))
		return fail_nomem(err);
	j = json_pack("{s:o, s:s, s:s, s:o, s:s}", "buildx.build.provenance", json_loads(x->r->provenance, 0, NULL),
		      "buildx.build.ref", buf_text(&ref), "containerimage.config.digest", config,
		      "containerimage.descriptor", descriptor_of(root), "containerimage.digest", digest);
	if (x->n_names)
		json_object_set_new(j, "image.name", json_string(buf_text(&names)));
	if (!j || json_dump_callback(j, append, out, JSON_INDENT(2) | JSON_PRESERVE_ORDER))
		return fail_nomem(err);
	return OK;
}

int metadata_fill(const struct exporting *x, Imaged__V1__BuildDone *done, struct err *err)
{
	const struct made_document *root = made_root(&x->made);
	CLEANUP(buf_free) struct buf json = BUF_INIT(2 * 1024 * 1024);
	char text[REFERENCE_TEXT_MAX];
	struct arena *a = x->arena;

	if (write_json(x, &json, err) < 0)
		return err->code;
	done->image_id = digest_message(a, &made_chosen(&x->made)->config.digest);
	done->digest = digest_message(a, &root->digest);
	done->descriptor = descriptor_message(a, root->media_type, &root->digest, (int64_t)root->body.len);
	done->metadata_json = arena_string(a, buf_text(&json));
	done->names = arena_array(a, x->n_names + 1, sizeof *done->names);
	if (!done->image_id || !done->digest || !done->descriptor || !done->metadata_json || !done->names)
		return fail_nomem(err);
	for (; done->n_names < x->n_names; done->n_names++)
		if (!(done->names[done->n_names] = arena_string(a, reference_text(&x->names[done->n_names], text))))
			return fail_nomem(err);
	return OK;
}
