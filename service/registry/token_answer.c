#include "service/registry/token_answer.h"

#include <jansson.h>

#include "store/types/json.h"

enum { TOKEN_TEXT_MAX = 32 * 1024 };

/* A token goes into a header: visible ASCII only. */
static bool is_token_text(struct bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		if (b.data[i] <= 0x20 || b.data[i] >= 0x7f)
			return false;
	return b.len && b.len <= TOKEN_TEXT_MAX;
}

/* jansson has no way to hand a string over or to wipe it; it is ours alone here. */
static bool take_string(const json_t *root, const char *key, struct secret *out)
{
	const json_t *value = json_object_get(root, key);
	struct bytes text = { (const uint8_t *)json_string_value(value), json_string_length(value) };
	bool ok = text.data && is_token_text(text) && secret_set_bytes(out, text);

	if (text.data)
		wipe((void *)(uintptr_t)text.data, text.len);
	return ok;
}

int token_answer_parse(struct bytes body, int64_t asked_at, struct token *ret_token, struct secret *ret_refresh,
		       struct err *err)
{
	json_t *root = json_is_light(body) ? json_loadb((const char *)body.data, body.len, JSON_REJECT_DUPLICATES, NULL)
					   : NULL;
	CLEANUP(secret_wipe) struct secret token = { 0 }, other = { 0 };
	const json_t *life = json_object_get(root, "expires_in");
	int64_t expires_in = json_is_integer(life) ? json_integer_value(life) : 0;

	take_string(root, "token", &token);
	take_string(root, "access_token", &other);
	take_string(root, "refresh_token", ret_refresh);
	json_decref(root);
	if (!secret_is_set(&token) && !secret_is_set(&other))
		return fail(err, E_REGISTRY, "the answer holds no token");
	ret_token->text = secret_is_set(&token) ? TAKE(token) : TAKE(other);
	ret_token->expires_at = token_expiry(asked_at, expires_in);
	return OK;
}
