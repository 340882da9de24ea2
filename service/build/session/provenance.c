#include "service/build/session/provenance.h"

#include <ctype.h>
#include <jansson.h>

#include "service/registry/url.h"

enum { URI_MAX = 4 * REFERENCE_TEXT_MAX };

/* ---- materials ------------------------------------------------------------------- */

/* As packageurl.org has it for what stands behind the name. */
static void put_escaped(struct buf *out, const char *text)
{
	for (; *text; text++)
		if (isalnum((unsigned char)*text) || strchr("-._~", *text))
			buf_putc(out, *text);
		else
			buf_printf(out, "%%%02X", (unsigned char)*text);
}

static void put_image(struct buf *out, const struct reference *ref, const struct platform *platform)
{
	char text[REFERENCE_TEXT_MAX], digest[DIGEST_TEXT_MAX], for_platform[PLATFORM_TEXT_MAX];
	bool by_digest = digest_is_set(&ref->digest);

	buf_printf(out, "pkg:docker/%s", reference_familiar_name(ref, text));
	if (*ref->tag)
		buf_printf(out, "@%s", ref->tag);
	if (by_digest) {
		buf_puts(out, "?digest=");
		put_escaped(out, digest_text(&ref->digest, digest));
	}
	buf_printf(out, "%splatform=", by_digest ? "&" : "?");
	put_escaped(out, platform_text(platform, for_platform));
}

/* Where the client has sent it, it has no name but that of the context. */
static void put_layout(struct buf *out, const char *context)
{
	buf_puts(out, "pkg:oci/");
	put_escaped(out, context);
}

static json_t *digest_object(const struct digest *d)
{
	char text[DIGEST_TEXT_MAX], *value;

	digest_text(d, text);
	value = strchr(text, ':');
	*value++ = 0;
	return json_pack("{s:s}", text, value);
}

/* `all` has one of a name. */
static int add_base(json_t *all, const struct front_end *f, size_t stage, struct err *err)
{
	CLEANUP(buf_free) struct buf uri = BUF_INIT(URI_MAX);
	const struct base_image *image = f->bases[stage];
	const struct reference *ref = base_image_reference(image);

	if (*ref->path)
		put_image(&uri, ref, base_image_platform(image));
	else
		put_layout(&uri, f->plan.stages[stage].base);
	if (!buf_ok(&uri) || json_object_set_new(all, buf_text(&uri),
						 json_pack("{s:s, s:o}", "uri", buf_text(&uri), "digest",
							   digest_object(base_image_digest(image)))))
		return fail_nomem(err);
	return OK;
}

static int make_materials(const struct front_end *fronts, size_t n, json_t *ret_list, struct err *err)
{
	CLEANUP(json_decrefp) json_t *all = json_object();
	const char *uri;
	json_t *one;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < fronts[i].plan.n; k++)
			if (fronts[i].bases[k] && add_base(all, &fronts[i], k, err) < 0)
				return err->code;
	json_object_foreach(all, uri, one) if (json_array_append(ret_list, one)) return fail_nomem(err);
	return OK;
}

/* ---- how -------------------------------------------------------------------------- */

static int set_text(json_t *object, const char *name, const char *text, struct err *err)
{
	return json_object_set_new(object, name, json_string(text)) ? fail_nomem(err) : OK;
}

static int set_no_cache(json_t *args, const Imaged__V1__BuildStart *start, struct err *err)
{
	CLEANUP(buf_free) struct buf stages = BUF_INIT(1024 * 1024);

	if (!start->no_cache && !start->n_no_cache_stages)
		return OK;
	for (size_t i = 0; !start->no_cache && i < start->n_no_cache_stages; i++)
		buf_printf(&stages, "%s%s", i ? "," : "", start->no_cache_stages[i]);
	return buf_ok(&stages) ? set_text(args, "no-cache", buf_text(&stages), err) : fail_nomem(err);
}

/* BuildKit's names; the least form tells neither build arguments nor labels. */
static int set_arguments(json_t *args, const Imaged__V1__BuildStart *start, const char *context, struct err *err)
{
	bool network = *start->network && strcmp(start->network, "default") != 0;

	if ((context && set_text(args, "context", context, err) < 0) ||
	    (network && set_text(args, "force-network-mode", start->network, err) < 0) ||
	    set_no_cache(args, start, err) < 0)
		return err->code;
	return *start->target ? set_text(args, "target", start->target, err) : OK;
}

static int add_locals(json_t *locals, const struct session_context *c, const Imaged__V1__BuildStart *start,
		      struct err *err)
{
	if (c && c->kind == SESSION_CONTEXT_DIRECTORY &&
	    json_array_append_new(locals, json_pack("{s:s}", "name", "context")))
		return fail_nomem(err);
	if (!start->dockerfile_in_context && json_array_append_new(locals, json_pack("{s:s}", "name", "dockerfile")))
		return fail_nomem(err);
	return OK;
}

/* The URL of the main context, without a password; *ret_url is NULL when it has none. */
static int context_url(const struct session_context *c, char **ret_url, struct err *err)
{
	*ret_url = NULL;
	if (!c || (c->kind != SESSION_CONTEXT_HTTP && c->kind != SESSION_CONTEXT_GIT))
		return OK;
	*ret_url = url_for_display(c->message->url);
	return *ret_url ? OK : fail_nomem(err);
}

static int make_invocation(const struct front_end *f, json_t *invocation, struct err *err)
{
	struct session *s = f->session;
	const Imaged__V1__BuildStart *start = s->start;
	const struct session_context *c = session_context_named(s, "");
	CLEANUP(json_decrefp) json_t *args = json_object();
	CLEANUP(json_decrefp) json_t *locals = json_array();
	CLEANUP(json_decrefp) json_t *source = json_object();
	CLEANUP(json_decrefp) json_t *parameters = json_pack("{s:s}", "frontend", "dockerfile.v0");
	CLEANUP(freep) char *url = NULL;
	char platform[PLATFORM_TEXT_MAX];

	if (context_url(c, &url, err) < 0 || set_arguments(args, start, url, err) < 0 ||
	    add_locals(locals, c, start, err) < 0 ||
	    (url && start->dockerfile_in_context && set_text(source, "uri", url, err) < 0) ||
	    set_text(source, "entryPoint", start->dockerfile_name, err) < 0)
		return err->code;
	if ((json_object_size(args) && json_object_set(parameters, "args", args)) ||
	    (json_array_size(locals) && json_object_set(parameters, "locals", locals)) ||
	    json_object_set(invocation, "configSource", source) ||
	    json_object_set(invocation, "parameters", parameters) ||
	    json_object_set_new(invocation, "environment",
				json_pack("{s:s}", "platform", platform_text(&f->build_platform, platform))))
		return fail_nomem(err);
	return OK;
}

int provenance_make(const struct front_end *fronts, size_t n, char **ret_json, struct err *err)
{
	CLEANUP(json_decrefp) json_t *materials = json_array();
	CLEANUP(json_decrefp) json_t *invocation = json_object();
	CLEANUP(json_decrefp) json_t *whole = NULL;

	if (make_materials(fronts, n, materials, err) < 0 || make_invocation(&fronts[0], invocation, err) < 0)
		return err->code;
	whole = json_pack("{s:{s:s}, s:s, s:O, s:O}", "builder", "id", "", "buildType",
			  "https://mobyproject.org/buildkit@v1", "materials", materials, "invocation", invocation);
	if (whole && !json_array_size(materials))
		json_object_del(whole, "materials");
	*ret_json = whole ? json_dumps(whole, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
	return *ret_json ? OK : fail_nomem(err);
}
