#include "service/build/session/build_request.h"

#include "proto/runtime/codec.h"
#include "service/image/convert.h"
#include "store/types/platform.h"
#include "store/types/reference.h"

int build_request_copy(const Imaged__V1__BuildStart *start, struct arena *a, Imaged__V1__BuildStart **ret_start,
		       struct err *err)
{
	size_t size = imaged__v1__build_start__get_packed_size(start);
	CLEANUP(freep) uint8_t *wire = malloc(size + 1);
	ProtobufCMessage *copy;
	int r;

	if (!wire)
		return fail_nomem(err);
	imaged__v1__build_start__pack(start, wire);
	r = codec_unpack(&imaged__v1__build_start__descriptor, (struct bytes){ wire, size }, a, &copy, err);
	wipe(wire, size); /* secrets are in it */
	if (r == OK)
		*ret_start = (Imaged__V1__BuildStart *)copy;
	return r;
}

void build_request_wipe(Imaged__V1__BuildStart *start)
{
	for (size_t i = 0; i < start->n_secrets; i++)
		wipe(start->secrets[i]->value.data, start->secrets[i]->value.len);
	for (size_t i = 0; i < start->n_credentials; i++)
		credentials_wipe(start->credentials[i]);
}

/* ---- checks ----------------------------------------------------------------------- */

static int check_count(size_t n, size_t max, const char *what, struct err *err)
{
	return n <= max ? OK : fail(err, E_LIMIT, "%zu %s: a build has at most %zu", n, what, max);
}

static int check_counts(const Imaged__V1__BuildStart *s, struct err *err)
{
	const struct {
		size_t n, max;
		const char *what;
	} lists[] = {
		{ s->n_named_contexts, BUILD_CONTEXTS_MAX, "named contexts" },
		{ s->n_platforms, BUILD_PLATFORMS_MAX, "platforms" },
		{ s->n_arguments, BUILD_LIST_MAX, "build arguments" },
		{ s->n_secrets, BUILD_LIST_MAX, "secrets" },
		{ s->n_ssh_ids, BUILD_LIST_MAX, "SSH agents" },
		{ s->n_tags, BUILD_LIST_MAX, "tags" },
		{ s->n_labels, BUILD_LIST_MAX, "labels" },
		{ s->n_annotations, BUILD_LIST_MAX, "annotations" },
		{ s->n_outputs, BUILD_LIST_MAX, "outputs" },
		{ s->n_cache_from, BUILD_LIST_MAX, "cache sources" },
		{ s->n_cache_to, BUILD_LIST_MAX, "cache targets" },
		{ s->n_no_cache_stages, BUILD_LIST_MAX, "stages without cache" },
		{ s->n_allow, BUILD_LIST_MAX, "entitlements" },
		{ s->n_extra_hosts, BUILD_LIST_MAX, "hosts" },
		{ s->limits ? s->limits->n_ulimits : 0, BUILD_LIST_MAX, "ulimits" },
		{ s->n_credentials, BUILD_LIST_MAX, "credentials" },
		{ s->n_proxies, BUILD_LIST_MAX, "proxies" },
	};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (check_count(lists[i].n, lists[i].max, lists[i].what, err) < 0)
			return err->code;
	return OK;
}

static int check_contexts(const Imaged__V1__BuildStart *s, struct err *err)
{
	if (s->context && *s->context->name)
		return fail(err, E_INVALID, "the main context has a name: %.256s", s->context->name);
	for (size_t i = 0; i < s->n_named_contexts; i++) {
		const char *name = s->named_contexts[i]->name;

		if (!*name)
			return fail(err, E_INVALID, "a named context has no name");
		for (size_t k = 0; k < i; k++)
			if (!strcmp(s->named_contexts[k]->name, name))
				return fail(err, E_INVALID, "two contexts have the name %.256s", name);
	}
	return OK;
}

static int check_tags(const Imaged__V1__BuildStart *s, struct err *err)
{
	for (size_t i = 0; i < s->n_tags; i++) {
		struct reference ref;

		if (reference_parse(s->tags[i], &ref, err) < 0)
			return err_wrap(err, "invalid tag \"%.256s\"", s->tags[i]);
		if (digest_is_set(&ref.digest))
			return fail(err, E_INVALID,
				    "invalid tag \"%.256s\": refusing to create a tag with a digest reference",
				    s->tags[i]);
	}
	return OK;
}

static int check_platforms(const Imaged__V1__BuildStart *s, struct err *err)
{
	for (size_t i = 0; i < s->n_platforms; i++) {
		struct platform p;

		if (platform_parse(s->platforms[i], &p, err) < 0)
			return err->code;
	}
	return OK;
}

static int check_secrets(const Imaged__V1__BuildStart *s, struct err *err)
{
	for (size_t i = 0; i < s->n_secrets; i++)
		if (s->secrets[i]->value.len > BUILD_SECRET_BYTES_MAX)
			return fail(err, E_LIMIT, "secret %.128s has %zu bytes: at most %d are taken",
				    s->secrets[i]->id, s->secrets[i]->value.len, BUILD_SECRET_BYTES_MAX);
	return OK;
}

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(*words, text))
			return true;
	return false;
}

static int check_words(const Imaged__V1__BuildStart *s, struct err *err)
{
	static const char *const networks[] = { "", "default", "none", "host", NULL };
	static const char *const allowed[] = { "network.host", "security.insecure", NULL };

	if (!is_one_of(s->network, networks))
		return fail(err, E_INVALID, "network mode \"%.128s\" not supported by buildkit", s->network);
	for (size_t i = 0; i < s->n_allow; i++)
		if (!is_one_of(s->allow[i], allowed))
			return fail(err, E_INVALID, "invalid entitlement: %.128s", s->allow[i]);
	for (size_t i = 0; i < s->n_arguments; i++)
		if (!*s->arguments[i]->name)
			return fail(err, E_INVALID, "invalid key-value pair \"=%.128s\": empty key",
				    s->arguments[i]->value);
	return OK;
}

int build_request_check(const Imaged__V1__BuildStart *s, struct err *err)
{
	if (check_counts(s, err) < 0 || check_contexts(s, err) < 0 || check_tags(s, err) < 0 ||
	    check_platforms(s, err) < 0 || check_secrets(s, err) < 0)
		return err->code;
	return check_words(s, err);
}
