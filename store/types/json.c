#include "store/types/json.h"

#include <stdio.h>

enum { PATH_TEXT_MAX = 256 };

/* ---- before parsing: what the parser would have to allocate ---------------- */

struct weight {
	size_t depth, deepest, containers, values;
};

static size_t skip_string(struct bytes b, size_t i)
{
	while (i < b.len && b.data[i] != '"')
		i += b.data[i] == '\\' ? 2 : 1;
	return i;
}

static void weigh_token(struct weight *w, uint8_t c)
{
	switch (c) {
	case '{':
	case '[':
		w->containers++;
		w->values++;
		if (++w->depth > w->deepest)
			w->deepest = w->depth;
		break;
	case '}':
	case ']':
		w->depth -= w->depth > 0;
		break;
	case ',':
		w->values++;
		break;
	}
}

/* An upper bound for any bytes; what is no JSON is left for the parser to tell. */
static struct weight weigh(struct bytes b)
{
	struct weight w = { 0 };

	for (size_t i = 0; i < b.len; i++)
		if (b.data[i] == '"')
			i = skip_string(b, i + 1);
		else
			weigh_token(&w, b.data[i]);
	return w;
}

bool json_is_light(struct bytes text)
{
	struct weight w = weigh(text);

	return w.deepest <= JSON_DEPTH_MAX && w.containers <= JSON_CONTAINERS_MAX && w.values <= JSON_VALUES_MAX;
}

static int check_weight(const struct jnode *root, struct bytes text, size_t max, struct err *err)
{
	struct weight w;

	if (text.len > max)
		return jnode_fail(root, E_BAD_CONTENT, err, "larger than %zu bytes", max);
	w = weigh(text);
	if (w.deepest > JSON_DEPTH_MAX)
		return jnode_fail(root, E_BAD_CONTENT, err, "nested deeper than %d levels", JSON_DEPTH_MAX);
	if (w.containers > JSON_CONTAINERS_MAX || w.values > JSON_VALUES_MAX)
		return jnode_fail(root, E_BAD_CONTENT, err, "too many values");
	return OK;
}

/* ---- parsing --------------------------------------------------------------- */

/* jansson's own texts quote the document. */
static const char *explain(enum json_error_code code)
{
	switch (code) {
	case json_error_duplicate_key:
		return "a key occurs twice in one object";
	case json_error_end_of_input_expected:
		return "data after the end of the document";
	case json_error_premature_end_of_input:
		return "the document ends too early";
	case json_error_invalid_utf8:
		return "text that is not UTF-8";
	case json_error_null_byte_in_key:
	case json_error_null_character:
		return "a NUL character in a string";
	case json_error_numeric_overflow:
		return "a number that is too large";
	default:
		return "invalid JSON";
	}
}

/* jansson drops characters when its token buffer cannot grow, and goes on: without
 * memory it could read another document than the one that was verified. So its
 * allocations are watched, and one that failed fails the parse. */
static _Thread_local bool starved;

static void *watched_malloc(size_t size)
{
	void *p = malloc(size);

	starved |= !p;
	return p;
}

/* Before there are threads: the functions are jansson's global state. */
__attribute__((constructor)) static void watch_allocations(void)
{
	json_set_alloc_funcs(watched_malloc, free);
}

static int load(const struct jnode *root, struct bytes text, json_t **ret_value, struct err *err)
{
	json_error_t why = { 0 };
	json_t *value;

	starved = false;
	value = json_loadb(text.len ? (const char *)text.data : "", text.len, JSON_REJECT_DUPLICATES, &why);
	if (starved) {
		json_decref(value);
		return fail_nomem(err);
	}
	if (!value)
		return jnode_fail(root, E_BAD_CONTENT, err, "%s (line %d, column %d)", explain(json_error_code(&why)),
				  why.line, why.column);
	*ret_value = value;
	return OK;
}

int json_read_light(struct bytes text, size_t flags, json_t **ret_value, json_error_t *ret_why, struct err *err)
{
	json_t *value;

	*ret_why = (json_error_t){ 0 };
	if (!text.len || !json_is_light(text))
		return fail(err, E_BAD_CONTENT, "not a JSON document that can be read");
	starved = false;
	value = json_loadb((const char *)text.data, text.len, flags, ret_why);
	if (starved) {
		json_decref(value);
		return fail_nomem(err);
	}
	if (!value)
		return fail(err, E_BAD_CONTENT, "not valid JSON (line %d, column %d)", ret_why->line, ret_why->column);
	*ret_value = value;
	return OK;
}

int jnode_open_any(struct bytes text, const char *document, size_t max, struct jnode *ret_root, struct err *err)
{
	struct jnode root = { .name = document };
	int r = check_weight(&root, text, max, err);

	if (r == OK)
		r = load(&root, text, &root.value, err);
	if (r == OK)
		*ret_root = root;
	return r;
}

/* Closes the root when it is not what was wanted. */
static int check_root(struct jnode *root, bool wanted, const char *what, struct err *err)
{
	if (wanted)
		return OK;
	jnode_close(root);
	return jnode_fail(root, E_BAD_CONTENT, err, "not a JSON %s", what);
}

int jnode_open(struct bytes text, const char *document, size_t max, struct jnode *ret_root, struct err *err)
{
	struct jnode root;
	int r = jnode_open_any(text, document, max, &root, err);

	if (r == OK)
		r = check_root(&root, json_is_object(root.value), "object", err);
	if (r == OK)
		*ret_root = root;
	return r;
}

int jnode_open_array(struct bytes text, const char *document, size_t max, struct jnode *ret_root, struct err *err)
{
	struct jnode root;
	int r = jnode_open_any(text, document, max, &root, err);

	if (r == OK)
		r = check_root(&root, json_is_array(root.value), "array", err);
	if (r == OK)
		*ret_root = root;
	return r;
}

void jnode_close(struct jnode *root)
{
	json_decref(root->value);
	root->value = NULL;
}

static json_t *unless_null(json_t *value)
{
	return json_is_null(value) ? NULL : value;
}

struct jnode jnode_member(const struct jnode *object, const char *name)
{
	return (struct jnode){
		.parent = object,
		.name = name,
		.value = unless_null(json_object_get(object->value, name)),
	};
}

struct jnode jnode_item(const struct jnode *array, size_t index)
{
	return (struct jnode){
		.parent = array,
		.index = index,
		.value = unless_null(json_array_get(array->value, index)),
	};
}

/* ---- messages -------------------------------------------------------------- */

static const struct jnode *write_path(const struct jnode *n, char out[PATH_TEXT_MAX])
{
	const struct jnode *root;
	size_t used;

	if (!n->parent) {
		out[0] = 0;
		return n;
	}
	root = write_path(n->parent, out);
	used = strlen(out);
	if (n->name)
		snprintf(out + used, PATH_TEXT_MAX - used, "%s%s", used ? "." : "", n->name);
	else
		snprintf(out + used, PATH_TEXT_MAX - used, "[%zu]", n->index);
	return root;
}

int jnode_fail(const struct jnode *at, int code, struct err *err, const char *fmt, ...)
{
	char path[PATH_TEXT_MAX];
	const struct jnode *root = write_path(at, path);
	va_list ap;

	va_start(ap, fmt);
	failv(err, code, fmt, ap);
	va_end(ap);
	if (err && path[0])
		err_wrap(err, "%s", path);
	if (err)
		err_wrap(err, "%s", root->name);
	return code;
}

int jnode_require(const struct jnode *n, struct err *err)
{
	return n->value ? OK : jnode_fail(n, E_BAD_CONTENT, err, "missing");
}

/* ---- values ---------------------------------------------------------------- */

int jnode_object(const struct jnode *n, struct err *err)
{
	if (n->value && !json_is_object(n->value))
		return jnode_fail(n, E_BAD_CONTENT, err, "not an object");
	return OK;
}

int jnode_array(const struct jnode *n, size_t max, size_t *ret_count, struct err *err)
{
	if (n->value && !json_is_array(n->value))
		return jnode_fail(n, E_BAD_CONTENT, err, "not an array");
	if (json_array_size(n->value) > max)
		return jnode_fail(n, E_BAD_CONTENT, err, "more than %zu entries", max);
	*ret_count = json_array_size(n->value);
	return OK;
}

int jnode_map(const struct jnode *n, size_t max, size_t *ret_count, struct err *err)
{
	int r = jnode_object(n, err);

	if (r < 0)
		return r;
	if (json_object_size(n->value) > max)
		return jnode_fail(n, E_BAD_CONTENT, err, "more than %zu entries", max);
	*ret_count = json_object_size(n->value);
	return OK;
}

int jnode_text(const struct jnode *n, size_t max, const char **ret_text, struct err *err)
{
	if (n->value && !json_is_string(n->value))
		return jnode_fail(n, E_BAD_CONTENT, err, "not a string");
	if (json_string_length(n->value) > max)
		return jnode_fail(n, E_BAD_CONTENT, err, "longer than %zu bytes", max);
	*ret_text = n->value ? json_string_value(n->value) : "";
	return OK;
}

int jnode_string(const struct jnode *n, size_t max, char **ret_text, struct err *err)
{
	const char *text = "";
	char *copy;
	int r = jnode_text(n, max, &text, err);

	if (r < 0)
		return r;
	copy = strdup(text);
	if (!copy)
		return fail_nomem(err);
	*ret_text = copy;
	return OK;
}

int jnode_member_string(const struct jnode *object, const char *name, char **ret_text, struct err *err)
{
	struct jnode n = jnode_member(object, name);

	return jnode_string(&n, JSON_TEXT_MAX, ret_text, err);
}

int jnode_bool(const struct jnode *n, bool *ret_value, struct err *err)
{
	if (n->value && !json_is_boolean(n->value))
		return jnode_fail(n, E_BAD_CONTENT, err, "not a boolean");
	*ret_value = json_is_true(n->value);
	return OK;
}

int jnode_integer(const struct jnode *n, int64_t min, int64_t max, int64_t *ret_value, struct err *err)
{
	json_int_t value = json_integer_value(n->value);
	int r = jnode_require(n, err);

	if (r < 0)
		return r;
	if (!json_is_integer(n->value))
		return jnode_fail(n, E_BAD_CONTENT, err, "not an integer");
	if (value < min || value > max)
		return jnode_fail(n, E_BAD_CONTENT, err, "number out of range");
	*ret_value = value;
	return OK;
}

int jnode_digest(const struct jnode *n, struct digest *ret_digest, struct err *err)
{
	struct err why = ERR_INIT;
	const char *text = "";
	int r = jnode_require(n, err);

	if (r == OK)
		r = jnode_text(n, DIGEST_TEXT_MAX, &text, err);
	if (r < 0)
		return r;
	if (digest_parse(text, ret_digest, &why) < 0)
		return jnode_fail(n, E_BAD_CONTENT, err, "%s", why.text);
	return OK;
}
