#include "service/registry/secret.h"

#include <openssl/evp.h>
#include <stdio.h>

bool secret_set_bytes(struct secret *s, struct bytes text)
{
	char *copy = NULL;

	if (text.len && !(copy = bytes_to_string(text)))
		return false;
	secret_wipe(s);
	s->text = copy;
	return true;
}

bool secret_set(struct secret *s, const char *text)
{
	return secret_set_bytes(s, bytes_of(text ? text : ""));
}

bool secret_copy(struct secret *to, const struct secret *from)
{
	return secret_set(to, from->text);
}

bool secret_take_buf(struct secret *s, struct buf *b)
{
	bool ok = buf_ok(b) && secret_set_bytes(s, buf_bytes(b));

	buf_wipe(b);
	return ok;
}

void secret_wipe(struct secret *s)
{
	if (s->text)
		wipe(s->text, strlen(s->text));
	free(s->text);
	s->text = NULL;
}

bool secret_eq(const struct secret *a, const struct secret *b)
{
	if (!a->text || !b->text)
		return a->text == b->text;
	return !strcmp(a->text, b->text);
}

void buf_wipe(struct buf *b)
{
	wipe(b->data, b->len);
	buf_free(b);
}

bool secret_basic(struct secret *s, const char *user, const char *password)
{
	static const char scheme[] = "Basic ";
	size_t n = strlen(user) + 1 + strlen(password);
	char *plain = malloc(n + 1), *text = malloc(sizeof scheme + 4 * ((n + 2) / 3) + 1);
	bool ok = plain && text;

	if (ok) {
		snprintf(plain, n + 1, "%s:%s", user, password);
		memcpy(text, scheme, sizeof scheme);
		EVP_EncodeBlock((unsigned char *)text + sizeof scheme - 1, (const unsigned char *)plain, (int)n);
		secret_wipe(s);
		s->text = TAKE(text);
	}
	wipe(plain, plain ? n : 0);
	free(plain);
	free(text);
	return ok;
}
