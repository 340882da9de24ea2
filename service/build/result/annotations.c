#include "service/build/result/annotations.h"

static const char *const places[] = {
	[ANNOTATE_MANIFEST] = "manifest",
	[ANNOTATE_INDEX] = "index",
	[ANNOTATE_MANIFEST_DESCRIPTOR] = "manifest-descriptor",
	[ANNOTATE_INDEX_DESCRIPTOR] = "index-descriptor",
};

static int find_place(const char *name, enum annotation_place *ret_place, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (!strcmp(name, places[i])) {
			*ret_place = (enum annotation_place)i;
			return OK;
		}
	return fail(err, E_INVALID, "unknown annotation type \"%s\"", name);
}

static int append(struct annotations *to, const struct annotation *one, struct arena *a, struct err *err)
{
	if (to->n == ANNOTATIONS_OF_BUILD_MAX)
		return fail(err, E_LIMIT, "more than %d annotations", ANNOTATIONS_OF_BUILD_MAX);
	if (to->n == to->capacity) {
		size_t capacity = to->capacity ? 2 * to->capacity : 16;
		struct annotation *larger = arena_array(a, capacity, sizeof *larger);

		if (!larger)
			return fail_nomem(err);
		if (to->n)
			memcpy(larger, to->all, to->n * sizeof *larger);
		to->all = larger;
		to->capacity = capacity;
	}
	to->all[to->n++] = *one;
	return OK;
}

/* "manifest[linux/amd64]"; `type` is cut into its parts. */
static int add_type(struct annotations *to, char *type, struct annotation one, struct arena *a, struct err *err)
{
	char *platform = strchr(type, '[');
	size_t len = platform ? strlen(platform) : 0;

	if (platform) {
		if (len < 3 || platform[len - 1] != ']')
			return fail(err, E_INVALID, "invalid annotation type \"%s\"", type);
		platform[len - 1] = 0;
		*platform++ = 0;
		if (platform_parse(platform, &one.platform, err) < 0)
			return err ? err->code : E_INVALID_PLATFORM;
		one.has_platform = true;
	}
	if (find_place(type, &one.place, err) < 0)
		return err ? err->code : E_INVALID;
	return append(to, &one, a, err);
}

/* A prefix that can be nothing but types. */
static size_t types_len(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz-,");

	while (text[len] == '[') {
		len += strcspn(text + len, "]");
		len += text[len] == ']';
		len += strspn(text + len, "abcdefghijklmnopqrstuvwxyz-,");
	}
	return text[len] == ':' ? len : 0;
}

int annotations_add(struct annotations *to, const char *text, struct arena *a, struct err *err)
{
	size_t len = types_len(text);
	char *types = arena_bytes(a, (struct bytes){ (const uint8_t *)text, len });
	char *key = arena_string(a, len ? text + len + 1 : text), *equals, *type, *rest;
	struct annotation one = { .place = ANNOTATE_MANIFEST };
	int r = OK;

	if (!key || !types)
		return fail_nomem(err);
	equals = strchr(key, '=');
	if (!equals || equals == key)
		return fail(err, E_INVALID, "invalid annotation \"%s\", expected key=value", text);
	*equals = 0;
	one.key = key;
	one.value = equals + 1;
	if (!*types)
		return append(to, &one, a, err);
	for (type = types; r == OK && type; type = rest) {
		rest = strchr(type, ',');
		if (rest)
			*rest++ = 0;
		r = add_type(to, type, one, a, err);
	}
	return r;
}

bool annotation_is_for(const struct annotation *a, enum annotation_place place, const struct platform *platform)
{
	if (a->place != place || (a->has_platform && !platform))
		return false;
	return !a->has_platform || platform_eq(&a->platform, platform);
}

bool annotations_have(const struct annotations *a, enum annotation_place place)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->all[i].place == place)
			return true;
	return false;
}
