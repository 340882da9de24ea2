#include "store/types/reference.h"

#include <stdio.h>

#include "store/types/reference_grammar.h"

#define DEFAULT_DOMAIN "docker.io"
#define LEGACY_DOMAIN "index.docker.io"
#define OFFICIAL_PREFIX "library/"

enum { HEX_ID_LEN = 64 };

static struct bytes literal(const char *text)
{
	return bytes_of(text);
}

static bool same(struct bytes b, const char *text)
{
	return b.len == strlen(text) && !memcmp(b.data, text, b.len);
}

static size_t index_of(struct bytes b, char c)
{
	const uint8_t *p = b.len ? memchr(b.data, c, b.len) : NULL;

	return p ? (size_t)(p - b.data) : b.len;
}

static bool has_upper(struct bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		if (b.data[i] >= 'A' && b.data[i] <= 'Z')
			return true;
	return false;
}

static bool is_printable(struct bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		if (b.data[i] <= ' ' || b.data[i] > '~')
			return false;
	return true;
}

static bool is_lower_hex(const char *text, size_t len)
{
	return strspn(text, "0123456789abcdef") == len;
}

bool reference_is_id_prefix(const char *text)
{
	size_t len;

	if (!strncmp(text, "sha256:", 7))
		text += 7;
	len = strlen(text);
	return len >= 1 && len <= HEX_ID_LEN && is_lower_hex(text, len);
}

bool reference_is_tag(const char *text)
{
	return *text && grammar_tag(bytes_of(text));
}

bool reference_is_path(const char *text)
{
	return *text && strlen(text) <= REFERENCE_PATH_MAX && grammar_path(bytes_of(text));
}

/* A name while it is being normalised: borrowed pieces of the input. The path is
 * `prefix` followed by `path`. */
struct split {
	struct bytes domain;
	const char *prefix; /* "" or "library/" */
	struct bytes path;
	struct bytes tag;
	struct bytes digest;
};

/* Whether the part before the first slash names a registry. */
static bool names_registry(struct bytes first)
{
	return same(first, "localhost") || index_of(first, '.') < first.len || index_of(first, ':') < first.len ||
	       has_upper(first);
}

/* Leaves everything after the domain in `path`. */
static struct split split_domain(struct bytes text)
{
	size_t slash = index_of(text, '/');
	struct bytes first = { text.data, slash };
	struct split s = { .domain = literal(DEFAULT_DOMAIN), .prefix = "", .path = text };

	if (slash < text.len && names_registry(first)) {
		s.path = (struct bytes){ text.data + slash + 1, text.len - slash - 1 };
		if (!same(first, LEGACY_DOMAIN))
			s.domain = first;
	}
	if (same(s.domain, DEFAULT_DOMAIN) && index_of(s.path, '/') == s.path.len)
		s.prefix = OFFICIAL_PREFIX;
	return s;
}

/* The repository must be lower case up to its first colon; the message shows it,
 * so it is only given for text that is safe to show. */
static int check_case(const struct split *s, struct err *err)
{
	struct bytes remote = { s->path.data, index_of(s->path, ':') };

	if (!has_upper(remote))
		return OK;
	if (!is_printable(remote))
		return fail(err, E_INVALID_REFERENCE, "invalid reference format");
	return fail(err, E_INVALID_REFERENCE, "invalid reference format: repository name (%s%.*s) must be lowercase",
		    s->prefix, remote.len > 512 ? 512 : (int)remote.len, (const char *)remote.data);
}

/* name [":" tag] ["@" digest]: no name holds ':' or '@', so the first decides. */
static bool split_tag_digest(struct split *s)
{
	size_t at = index_of(s->path, '@');
	size_t colon;

	if (at < s->path.len) {
		s->digest = (struct bytes){ s->path.data + at + 1, s->path.len - at - 1 };
		s->path.len = at;
		if (!grammar_digest(s->digest))
			return false;
	}
	colon = index_of(s->path, ':');
	if (colon < s->path.len) {
		s->tag = (struct bytes){ s->path.data + colon + 1, s->path.len - colon - 1 };
		s->path.len = colon;
		return grammar_tag(s->tag);
	}
	return true;
}

/* EFMT, or docker's other word where only capitals are wrong: a first component
 * like "Foo_bar", which cannot be a domain and would be a path in lower case. */
static int check_name(struct split *s, bool *ret_domain_is_path, struct err *err)
{
	bool is_domain = grammar_domain(s->domain);

	if (!grammar_path(s->path))
		return fail(err, E_INVALID_REFERENCE, "invalid reference format");
	if (!is_domain && !grammar_path(s->domain)) {
		if (grammar_path_any_case(s->domain))
			return fail(err, E_INVALID_REFERENCE, "repository name must be lowercase");
		return fail(err, E_INVALID_REFERENCE, "invalid reference format");
	}
	*ret_domain_is_path = !is_domain;
	return OK;
}

static void copy(char *out, size_t size, struct bytes b)
{
	size_t n = b.len < size ? b.len : size - 1;

	if (n)
		memcpy(out, b.data, n);
	out[n] = 0;
}

static int check_length(const struct split *s, bool domain_is_path, struct err *err)
{
	size_t path = strlen(s->prefix) + s->path.len, total = s->domain.len + 1 + path;

	if ((domain_is_path ? total : path) > REFERENCE_PATH_MAX)
		return fail(err, E_INVALID_REFERENCE, "repository name must not be more than %d characters",
			    REFERENCE_PATH_MAX);
	if (total > REFERENCE_NAME_MAX)
		return fail(err, E_INVALID_REFERENCE,
			    "registry and repository name together must not be more than %d characters",
			    REFERENCE_NAME_MAX);
	return OK;
}

static int fill(const struct split *s, bool domain_is_path, struct reference *ref, struct err *err)
{
	int r = check_length(s, domain_is_path, err);

	if (r < 0)
		return r;
	if (domain_is_path)
		snprintf(ref->path, sizeof ref->path, "%.*s/%s%.*s", (int)s->domain.len, (const char *)s->domain.data,
			 s->prefix, (int)s->path.len, (const char *)s->path.data);
	else
		snprintf(ref->path, sizeof ref->path, "%s%.*s", s->prefix, (int)s->path.len,
			 (const char *)s->path.data);
	if (!domain_is_path)
		copy(ref->domain, sizeof ref->domain, s->domain);
	copy(ref->tag, sizeof ref->tag, s->tag);
	if (s->digest.len && digest_parse_bytes(s->digest, &ref->digest, err) < 0) {
		if (err)
			err->code = E_INVALID_REFERENCE;
		return E_INVALID_REFERENCE;
	}
	return OK;
}

int reference_parse(const char *text, struct reference *ret_ref, struct err *err)
{
	struct bytes all = bytes_of(text);
	struct reference ref = { 0 };
	bool domain_is_path = false;
	struct split s;
	int r;

	if (all.len == HEX_ID_LEN && is_lower_hex(text, all.len))
		return fail(err, E_INVALID_REFERENCE,
			    "invalid repository name (%s), cannot specify 64-byte hexadecimal strings", text);
	s = split_domain(all);
	r = check_case(&s, err);
	if (r < 0)
		return r;
	if (!split_tag_digest(&s))
		return fail(err, E_INVALID_REFERENCE, "invalid reference format");
	r = check_name(&s, &domain_is_path, err);
	if (r < 0)
		return r;
	r = fill(&s, domain_is_path, &ref, err);
	if (r < 0)
		return r;
	*ret_ref = ref;
	return OK;
}

bool reference_default_tag(struct reference *ref)
{
	if (ref->tag[0] || digest_is_set(&ref->digest))
		return false;
	copy(ref->tag, sizeof ref->tag, literal("latest"));
	return true;
}

char *reference_name(const struct reference *ref, char out[REFERENCE_TEXT_MAX])
{
	snprintf(out, REFERENCE_TEXT_MAX, "%s%s%s", ref->domain, ref->domain[0] ? "/" : "", ref->path);
	return out;
}

char *reference_familiar_name(const struct reference *ref, char out[REFERENCE_TEXT_MAX])
{
	const char *path = ref->path;
	size_t official = strlen(OFFICIAL_PREFIX);

	if (strcmp(ref->domain, DEFAULT_DOMAIN))
		return reference_name(ref, out);
	if (!strncmp(path, OFFICIAL_PREFIX, official) && !strchr(path + official, '/'))
		path += official;
	snprintf(out, REFERENCE_TEXT_MAX, "%s", path);
	return out;
}

static char *append_tag_digest(const struct reference *ref, char out[REFERENCE_TEXT_MAX])
{
	char digest[DIGEST_TEXT_MAX];
	size_t used = strlen(out);

	snprintf(out + used, REFERENCE_TEXT_MAX - used, "%s%s%s%s", ref->tag[0] ? ":" : "", ref->tag,
		 digest_is_set(&ref->digest) ? "@" : "", digest_text(&ref->digest, digest));
	return out;
}

char *reference_text(const struct reference *ref, char out[REFERENCE_TEXT_MAX])
{
	return append_tag_digest(ref, reference_name(ref, out));
}

char *reference_familiar(const struct reference *ref, char out[REFERENCE_TEXT_MAX])
{
	return append_tag_digest(ref, reference_familiar_name(ref, out));
}
