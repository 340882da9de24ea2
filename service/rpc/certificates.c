#include "service/rpc/certificates.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

enum { PEM_MAX = 1024 * 1024 };

static void pem_free(struct pem *p)
{
	wipe(p->text, p->len);
	free(p->text);
	*p = (struct pem){ 0 };
}

void certificates_free(struct certificates *c)
{
	pem_free(&c->cert);
	pem_free(&c->key);
	pem_free(&c->ca);
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

/* The first certificate of the text, after all of them were read: a file that somebody is
 * still writing ends in the middle of one. */
static int read_certificates(const char *file, const struct pem *p, X509 **ret_first, struct err *err)
{
	CLEANUP(bio_freep) BIO *bio = BIO_new_mem_buf(p->text, (int)p->len);
	CLEANUP(x509_freep) X509 *first = NULL;
	X509 *next;
	bool whole;

	if (!bio)
		return fail_nomem(err);
	first = PEM_read_bio_X509(bio, NULL, no_password, NULL);
	while (first && (next = PEM_read_bio_X509(bio, NULL, no_password, NULL)))
		X509_free(next);
	whole = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	if (!first)
		return fail(err, E_INVALID, "TLS: '%s' holds no certificate in PEM form", file);
	if (!whole)
		return fail(err, E_INVALID, "TLS: '%s' ends in the middle of a certificate, or holds a broken one",
			    file);
	*ret_first = TAKE(first);
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

static int check_pair(const struct rpc_tls *tls, const struct certificates *c, struct err *err)
{
	CLEANUP(x509_freep) X509 *x = NULL;
	int r = read_certificates(tls->cert_file, &c->cert, &x, err);

	if (r < 0)
		return r;
	if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
		return fail(err, E_INVALID, "TLS: the certificate in '%s' has expired", tls->cert_file);
	return check_key(tls, &c->key, x, err);
}

static int check_client_ca(const struct rpc_tls *tls, const struct certificates *c, struct err *err)
{
	CLEANUP(x509_freep) X509 *x = NULL;

	if (tls->client_ca_file)
		return read_certificates(tls->client_ca_file, &c->ca, &x, err);
	if (tls->allow_anonymous)
		return OK;
	return fail(err, E_INVALID,
		    "TLS without client certificates knows nobody who reaches the port: give tls-client-ca, or "
		    "tls-allow-anonymous, and a grant to anonymous, if that is meant");
}

int certificates_check(const struct rpc_tls *tls, const struct certificates *c, struct err *err)
{
	int r = check_pair(tls, c, err);

	return r < 0 ? r : check_client_ca(tls, c, err);
}

int certificates_read(const struct rpc_tls *tls, struct certificates *ret_certificates, struct err *err)
{
	CLEANUP(certificates_free) struct certificates c = { 0 };
	int r;

	if (!tls->cert_file || !tls->key_file)
		return fail(err, E_INVALID, "TLS needs both a certificate and a key");
	r = pem_read(tls->cert_file, &c.cert, err);
	if (r == OK)
		r = pem_read(tls->key_file, &c.key, err);
	if (r == OK && tls->client_ca_file)
		r = pem_read(tls->client_ca_file, &c.ca, err);
	if (r < 0)
		return r;
	*ret_certificates = TAKE(c);
	return OK;
}

static bool pem_equal(const struct pem *a, const struct pem *b)
{
	return a->len == b->len && (!a->len || !memcmp(a->text, b->text, a->len));
}

bool certificates_equal(const struct certificates *a, const struct certificates *b)
{
	return pem_equal(&a->cert, &b->cert) && pem_equal(&a->key, &b->key) && pem_equal(&a->ca, &b->ca);
}
