#include "service/rpc/credentials.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

enum { PEM_MAX = 1024 * 1024 };

/* A file's text, NUL-terminated; it may be a key, so it is wiped when freed. */
struct pem {
	char *text;
	size_t len;
};

static void pem_free(struct pem *p)
{
	wipe(p->text, p->len);
	free(p->text);
}

static void bio_freep(BIO **b)
{
	BIO_free(*b);
}

static void x509_freep(X509 **x)
{
	X509_free(*x);
}

static void key_freep(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

static int read_all(int fd, struct pem *p, size_t size)
{
	while (p->len < size) {
		ssize_t n = read(fd, p->text + p->len, size - p->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -1 : 0;
		p->len += (size_t)n;
	}
	return 0;
}

static int pem_read(const char *file, struct pem *ret_pem, struct err *err)
{
	CLEANUP(closep) int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CLEANUP(pem_free) struct pem p = { 0 };
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(err, E_INVALID, "TLS: read '%s': %s", file, strerrordesc_np(errno));
	if (!S_ISREG(st.st_mode) || st.st_size > PEM_MAX)
		return fail(err, E_INVALID, "TLS: '%s' is no PEM file", file);
	p.text = calloc(1, (size_t)st.st_size + 1);
	if (!p.text)
		return fail_nomem(err);
	if (read_all(fd, &p, (size_t)st.st_size) < 0)
		return fail(err, E_INVALID, "TLS: read '%s': %s", file, strerrordesc_np(errno));
	*ret_pem = TAKE(p);
	return OK;
}

/* Instead of OpenSSL's question on the terminal. */
static int no_password(UNUSED char *buf, UNUSED int size, UNUSED int rwflag, UNUSED void *arg)
{
	return -1;
}

static int read_certificate(const char *file, const struct pem *p, X509 **ret_x, struct err *err)
{
	CLEANUP(bio_freep) BIO *bio = BIO_new_mem_buf(p->text, (int)p->len);
	X509 *x;

	if (!bio)
		return fail_nomem(err);
	x = PEM_read_bio_X509(bio, NULL, no_password, NULL);
	ERR_clear_error();
	if (!x)
		return fail(err, E_INVALID, "TLS: '%s' holds no certificate in PEM form", file);
	*ret_x = x;
	return OK;
}

static int check_certificate(const char *file, const struct pem *p, X509 **ret_x, struct err *err)
{
	int r = read_certificate(file, p, ret_x, err);

	if (r < 0)
		return r;
	if (X509_cmp_current_time(X509_get0_notAfter(*ret_x)) < 0)
		return fail(err, E_INVALID, "TLS: the certificate in '%s' has expired", file);
	return OK;
}

static int check_key(const struct rpc_tls *tls, const struct pem *p, X509 *x, struct err *err)
{
	CLEANUP(bio_freep) BIO *bio = BIO_new_mem_buf(p->text, (int)p->len);
	CLEANUP(key_freep) EVP_PKEY *key = NULL;
	int fits;

	if (!bio)
		return fail_nomem(err);
	key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	fits = key && X509_check_private_key(x, key);
	ERR_clear_error();
	if (!key)
		return fail(err, E_INVALID, "TLS: '%s' holds no private key in PEM form without a password",
			    tls->key_file);
	if (!fits)
		return fail(err, E_INVALID, "TLS: the key in '%s' does not belong to the certificate in '%s'",
			    tls->key_file, tls->cert_file);
	return OK;
}

static int load_pair(const struct rpc_tls *tls, struct pem *cert, struct pem *key, struct err *err)
{
	CLEANUP(x509_freep) X509 *x = NULL;
	int r;

	if (!tls->cert_file || !tls->key_file)
		return fail(err, E_INVALID, "TLS needs both a certificate and a key");
	r = pem_read(tls->cert_file, cert, err);
	if (r == OK)
		r = pem_read(tls->key_file, key, err);
	if (r == OK)
		r = check_certificate(tls->cert_file, cert, &x, err);
	return r < 0 ? r : check_key(tls, key, x, err);
}

static int load_client_ca(const struct rpc_tls *tls, struct pem *ca, struct err *err)
{
	CLEANUP(x509_freep) X509 *x = NULL;
	int r;

	if (!tls->client_ca_file && tls->allow_anonymous)
		return OK;
	if (!tls->client_ca_file)
		return fail(err, E_INVALID,
			    "TLS without client certificates would let everybody who reaches the port do everything: "
			    "give tls-client-ca, or tls-allow-anonymous if that is meant");
	r = pem_read(tls->client_ca_file, ca, err);
	return r < 0 ? r : read_certificate(tls->client_ca_file, ca, &x, err);
}

int credentials_load(const struct rpc_tls *tls, grpc_server_credentials **ret_credentials, struct err *err)
{
	CLEANUP(pem_free) struct pem cert = { 0 };
	CLEANUP(pem_free) struct pem key = { 0 };
	CLEANUP(pem_free) struct pem ca = { 0 };
	grpc_ssl_pem_key_cert_pair pair;
	grpc_server_credentials *credentials;
	int r;

	r = load_pair(tls, &cert, &key, err);
	if (r == OK)
		r = load_client_ca(tls, &ca, err);
	if (r < 0)
		return r;
	pair = (grpc_ssl_pem_key_cert_pair){ .private_key = key.text, .cert_chain = cert.text };
	credentials = grpc_ssl_server_credentials_create_ex(
		ca.text, &pair, 1,
		ca.text ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
			: GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
		NULL);
	if (!credentials)
		return fail(err, E_INVALID, "TLS: gRPC does not accept '%s' and '%s'", tls->cert_file, tls->key_file);
	*ret_credentials = credentials;
	return OK;
}
