#include "service/cri/auth.h"

#include <string.h>

#include "proto/runtime/base64.h"

static void wipe_text(char *text)
{
	if (text)
		wipe(text, strlen(text));
}

void cri_auth_wipe(const Runtime__V1__AuthConfig *auth)
{
	if (!auth)
		return;
	wipe_text(auth->password);
	wipe_text(auth->auth);
	wipe_text(auth->identity_token);
	wipe_text(auth->registry_token);
}

/* Some tools pad USER:PASSWORD with NULs. */
static size_t without_padding(const struct buf *b)
{
	size_t len = b->len;

	while (len && !b->data[len - 1])
		len--;
	return len;
}

static int split_pair(struct buf *pair, struct arena *a, Imaged__V1__Credentials *m, struct err *err)
{
	size_t len = without_padding(pair);
	const uint8_t *colon = len ? memchr(pair->data, ':', len) : NULL;
	size_t user = colon ? (size_t)(colon - pair->data) : 0;

	if (!colon || memchr(pair->data, 0, len))
		return fail(err, E_INVALID, "auth.auth is not the base64 of USER:PASSWORD");
	m->username = arena_bytes(a, (struct bytes){ pair->data, user });
	m->password = arena_bytes(a, (struct bytes){ colon + 1, len - user - 1 });
	return m->username && m->password ? OK : fail_nomem(err);
}

static int take_pair(const char *text, struct arena *a, Imaged__V1__Credentials *m, struct err *err)
{
	enum { PAIR_BYTES_MAX = 64 * 1024 };
	CLEANUP(buf_free) struct buf pair = BUF_INIT(PAIR_BYTES_MAX);
	int r = base64_decode(&pair, text) ? split_pair(&pair, a, m, err)
					   : fail(err, E_INVALID, "auth.auth is not base64");

	if (pair.len)
		wipe(pair.data, pair.len);
	return r;
}

int cri_credentials(const Runtime__V1__AuthConfig *auth, struct arena *a, Imaged__V1__Credentials **ret_credentials,
		    struct err *err)
{
	Imaged__V1__Credentials *m;
	int r = OK;

	*ret_credentials = NULL;
	if (!auth)
		return OK;
	m = arena_alloc(a, sizeof *m);
	if (!m)
		return fail_nomem(err);
	imaged__v1__credentials__init(m);
	m->server_address = auth->server_address;
	if (*auth->username) {
		m->username = auth->username;
		m->password = auth->password;
	} else if (*auth->identity_token) {
		m->identity_token = auth->identity_token;
	} else if (*auth->registry_token) {
		m->registry_token = auth->registry_token;
	} else if (*auth->auth) {
		r = take_pair(auth->auth, a, m, err);
	} else {
		return OK;
	}
	*ret_credentials = m;
	return r;
}
