/*
 * TLS of an exchange: what is trusted, and what is shown.
 *
 * libcurl reuses a connection or a session only for an exchange whose authorities and
 * first certificate are the same bytes. Of what it does not compare (keys, further
 * certificates) a hash stands as a comment behind that certificate.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "service/registry/http_internal.h"
#include "store/types/digest.h"

enum { CA_CACHE_S = 300, CERTIFICATE_BYTES_MAX = 2 * 1024 * 1024 };

/* ---- several certificates: the server's authorities choose ------------------ */

struct credential {
	X509 *certificate;
	EVP_PKEY *key;
	STACK_OF(X509) * chain;
};

struct wallet {
	size_t n;
	struct credential credentials[];
};

static void wallet_free(struct wallet *w)
{
	for (size_t i = 0; w && i < w->n; i++) {
		X509_free(w->credentials[i].certificate);
		EVP_PKEY_free(w->credentials[i].key);
		sk_X509_pop_free(w->credentials[i].chain, X509_free);
	}
	free(w);
}

static void forget_wallet(UNUSED void *parent, void *wallet, UNUSED CRYPTO_EX_DATA *data, UNUSED int index,
			  UNUSED long argl, UNUSED void *argp)
{
	wallet_free(wallet);
}

static int wallet_index = -1;
static pthread_once_t wallet_once = PTHREAD_ONCE_INIT;

static void make_wallet_index(void)
{
	wallet_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, forget_wallet);
}

/* They were read once (host_tls.c), so that what fails here is memory. */
static bool read_credential(const struct host_identity *id, struct credential *out)
{
	BIO *cert = BIO_new_mem_buf(buf_text(&id->cert), (int)id->cert.len);
	BIO *key = BIO_new_mem_buf(buf_text(&id->key), (int)id->key.len);
	X509 *more;

	out->certificate = cert ? PEM_read_bio_X509(cert, NULL, NULL, NULL) : NULL;
	out->key = key ? PEM_read_bio_PrivateKey(key, NULL, NULL, NULL) : NULL;
	out->chain = sk_X509_new_null();
	while (cert && out->chain && (more = PEM_read_bio_X509(cert, NULL, NULL, NULL)))
		sk_X509_push(out->chain, more);
	ERR_clear_error();
	BIO_free(cert);
	BIO_free(key);
	return out->certificate && out->key && out->chain;
}

static struct wallet *wallet_of(const struct host_tls *t)
{
	struct wallet *w = calloc(1, sizeof *w + t->n_identities * sizeof w->credentials[0]);
	bool ok = w != NULL;

	for (size_t i = 0; ok && i < t->n_identities; i++)
		ok = read_credential(&t->identities[w->n++], &w->credentials[i]);
	if (ok)
		return w;
	wallet_free(w);
	return NULL;
}

static bool is_issuer(const STACK_OF(X509_NAME) * names, const X509 *x)
{
	for (int i = 0; i < sk_X509_NAME_num(names); i++)
		if (X509_NAME_cmp(sk_X509_NAME_value(names, i), X509_get_issuer_name(x)) == 0)
			return true;
	return false;
}

static bool suits(const struct credential *c, const STACK_OF(X509_NAME) * names)
{
	bool any = is_issuer(names, c->certificate);

	for (int i = 0; !any && i < sk_X509_num(c->chain); i++)
		any = is_issuer(names, sk_X509_value(c->chain, i));
	return any;
}

/* The first that an authority of the server's has signed; the first of all, which is
 * set already, when none has or the server names none. */
static int choose(SSL *ssl, void *arg)
{
	const struct wallet *w = arg;
	const STACK_OF(X509_NAME) *names = SSL_get_client_CA_list(ssl);

	for (size_t i = 0; names && i < w->n; i++) {
		const struct credential *c = &w->credentials[i];

		if (suits(c, names))
			return SSL_use_cert_and_key(ssl, c->certificate, c->key, c->chain, 1);
	}
	return 1;
}

static CURLcode on_context(UNUSED CURL *easy, void *context, void *arg)
{
	struct http_exchange *x = arg;
	struct wallet *w = wallet_of(x->tls);

	pthread_once(&wallet_once, make_wallet_index);
	if (!w || SSL_CTX_set_ex_data(context, wallet_index, w) != 1) {
		wallet_free(w);
		return CURLE_OUT_OF_MEMORY;
	}
	SSL_CTX_set_cert_cb(context, choose, w);
	return CURLE_OK;
}

/* ---- the exchange ----------------------------------------------------------- */

static bool set_blob(CURL *easy, CURLoption option, const void *data, size_t len, unsigned flags)
{
	struct curl_blob blob = { .data = (void *)(uintptr_t)data, .len = len, .flags = flags };

	return curl_easy_setopt(easy, option, &blob) == CURLE_OK;
}

static struct digest identities_digest(const struct host_tls *t)
{
	struct hasher h;

	hasher_init(&h, DIGEST_SHA256);
	for (size_t i = 0; i < t->n_identities; i++) {
		hasher_update(&h, t->identities[i].cert.data, t->identities[i].cert.len);
		hasher_update(&h, t->identities[i].key.data, t->identities[i].key.len);
	}
	return hasher_final(&h);
}

static bool set_identity(struct http_exchange *x)
{
	const struct host_identity *id = &x->tls->identities[0];
	struct buf cert = BUF_INIT(CERTIFICATE_BYTES_MAX);
	struct digest d = identities_digest(x->tls);
	char text[DIGEST_TEXT_MAX];
	bool ok = buf_reserve(&cert, id->cert.len + sizeof text + 4) != NULL;

	buf_append(&cert, id->cert.data, id->cert.len);
	buf_printf(&cert, "\n# %s\n", digest_text(&d, text));
	ok = ok && buf_ok(&cert) && set_blob(x->easy, CURLOPT_SSLCERT_BLOB, cert.data, cert.len, CURL_BLOB_COPY) &&
	     set_blob(x->easy, CURLOPT_SSLKEY_BLOB, id->key.data, id->key.len, CURL_BLOB_NOCOPY);
	wipe(cert.data, cert.len);
	buf_free(&cert);
	if (x->tls->n_identities > 1) {
		curl_easy_setopt(x->easy, CURLOPT_SSL_CTX_FUNCTION, on_context);
		curl_easy_setopt(x->easy, CURLOPT_SSL_CTX_DATA, x);
	}
	return ok;
}

/* Reading a system's authorities takes 10 ms and more: not for nothing. Beside others
 * they are looked up one by one. */
static bool set_trust(struct http_exchange *x, const struct http_request *q)
{
	const struct http_client *c = x->client;
	bool own = !q->insecure && x->tls && x->tls->authorities.len;
	const char *path = own ? c->system_path : c->ca_path;

	curl_easy_setopt(x->easy, CURLOPT_SSL_VERIFYPEER, q->insecure ? 0L : 1L);
	curl_easy_setopt(x->easy, CURLOPT_SSL_VERIFYHOST, q->insecure ? 0L : 2L);
	curl_easy_setopt(x->easy, CURLOPT_CAINFO, q->insecure || own ? NULL : c->ca_file);
	curl_easy_setopt(x->easy, CURLOPT_CAPATH, q->insecure ? NULL : path);
	curl_easy_setopt(x->easy, CURLOPT_CA_CACHE_TIMEOUT, (long)CA_CACHE_S);
	return !own || set_blob(x->easy, CURLOPT_CAINFO_BLOB, x->tls->authorities.data, x->tls->authorities.len,
				CURL_BLOB_NOCOPY);
}

bool exchange_set_tls(struct http_exchange *x, const struct http_request *q)
{
	x->tls = host_tls_ref(q->tls);
	curl_easy_setopt(x->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (!set_trust(x, q))
		return false;
	return !x->tls || !x->tls->n_identities || q->show_nothing || set_identity(x);
}
