#include "service/registry/host_tls.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include "service/registry/secret.h"

enum { PEM_BYTES_MAX = 1024 * 1024, AUTHORITIES_BYTES_MAX = 8 * 1024 * 1024 };

/* ---- files ----------------------------------------------------------------- */

static int read_rest(int fd, const char *file, struct buf *out, struct err *err)
{
	for (;;) {
		uint8_t chunk[4096];
		ssize_t n = read(fd, chunk, sizeof chunk);
		bool fits = n <= 0 || buf_append(out, chunk, (size_t)n);

		wipe(chunk, sizeof chunk);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(err, E_BAD_CONTENT, "read %s: %s", file, strerrordesc_np(errno));
		if (!fits)
			return fail(err, E_BAD_CONTENT, "%s is too long", file);
		if (n == 0)
			return OK;
	}
}

int host_file_read(const char *file, struct buf *out, bool *ret_exists, struct err *err)
{
	CLEANUP(closep) int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (ret_exists)
		*ret_exists = fd >= 0 || (errno != ENOENT && errno != ENOTDIR);
	if (fd < 0 && ret_exists && !*ret_exists)
		return OK;
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(err, E_BAD_CONTENT, "open %s: %s", file, strerrordesc_np(errno));
	if (!S_ISREG(st.st_mode))
		return fail(err, E_BAD_CONTENT, "%s is no file", file);
	/* At once, when it fits: growing would leave copies of a key behind. */
	if (st.st_size > 0 && (uint64_t)st.st_size < out->max)
		buf_reserve(out, (size_t)st.st_size);
	return read_rest(fd, file, out, err);
}

/* ---- PEM ------------------------------------------------------------------- */

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

/* Instead of OpenSSL's question on the terminal. */
static int no_password(UNUSED char *buf, UNUSED int size, UNUSED int rwflag, UNUSED void *arg)
{
	return -1;
}

static X509 *certificate_in(const struct buf *pem)
{
	CLEANUP(bio_freep) BIO *bio = BIO_new_mem_buf(buf_text(pem), (int)pem->len);
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, no_password, NULL) : NULL;

	ERR_clear_error();
	return x;
}

static EVP_PKEY *key_in(const struct buf *pem)
{
	CLEANUP(bio_freep) BIO *bio = BIO_new_mem_buf(buf_text(pem), (int)pem->len);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;

	ERR_clear_error();
	return key;
}

static int load_authorities(struct host_tls *t, const char *file, struct err *err)
{
	CLEANUP(buf_free) struct buf pem = BUF_INIT(PEM_BYTES_MAX);
	CLEANUP(x509_freep) X509 *x = NULL;

	if (host_file_read(file, &pem, NULL, err) < 0)
		return err->code;
	x = certificate_in(&pem);
	if (!x)
		return fail(err, E_BAD_CONTENT, "%s holds no certificate in PEM form", file);
	/* A file may end without a newline, and the next begins with a dash. */
	if (!buf_append(&t->authorities, pem.data, pem.len) || !buf_putc(&t->authorities, '\n'))
		return fail(err, E_LIMIT, "the authorities up to %s are too many", file);
	return OK;
}

static int load_identity(struct host_identity *id, const struct host_client *c, struct err *err)
{
	const char *key_file = c->key_file ? c->key_file : c->cert_file;
	CLEANUP(x509_freep) X509 *x = NULL;
	CLEANUP(key_freep) EVP_PKEY *key = NULL;
	bool fits;

	if (host_file_read(c->cert_file, &id->cert, NULL, err) < 0 || host_file_read(key_file, &id->key, NULL, err) < 0)
		return err->code;
	x = certificate_in(&id->cert);
	if (!x)
		return fail(err, E_BAD_CONTENT, "%s holds no certificate in PEM form", c->cert_file);
	key = key_in(&id->key);
	if (!key)
		return fail(err, E_BAD_CONTENT, "%s holds no private key in PEM form, or one with a password",
			    key_file);
	fits = X509_check_private_key(x, key) == 1;
	ERR_clear_error();
	return fits ? OK
		    : fail(err, E_BAD_CONTENT, "the key in %s does not belong to the certificate in %s", key_file,
			   c->cert_file);
}

/* ---- the whole ------------------------------------------------------------- */

static void tls_free(struct host_tls *t)
{
	for (size_t i = 0; t->identities && i < t->n_identities; i++) {
		buf_wipe(&t->identities[i].cert); /* the file may hold the key, too */
		buf_wipe(&t->identities[i].key);
	}
	free(t->identities);
	buf_free(&t->authorities);
	free(t);
}

static void tls_unrefp(struct host_tls **t)
{
	host_tls_unref(*t);
}

int host_tls_load(const struct host_tls_files *files, struct host_tls **ret_tls, struct err *err)
{
	CLEANUP(tls_unrefp) struct host_tls *t = NULL;

	*ret_tls = NULL;
	if (!files->n_ca_files && !files->n_clients)
		return OK;
	t = calloc(1, sizeof *t);
	if (!t)
		return fail_nomem(err);
	atomic_init(&t->refs, 1);
	t->authorities = (struct buf)BUF_INIT(AUTHORITIES_BYTES_MAX);
	t->identities = calloc(files->n_clients + 1, sizeof *t->identities);
	if (!t->identities)
		return fail_nomem(err);
	for (size_t i = 0; i < files->n_ca_files; i++)
		if (load_authorities(t, files->ca_files[i], err) < 0)
			return err->code;
	for (size_t i = 0; i < files->n_clients; i++) {
		struct host_identity *id = &t->identities[t->n_identities++];

		*id = (struct host_identity){ BUF_INIT(PEM_BYTES_MAX), BUF_INIT(PEM_BYTES_MAX) };
		if (load_identity(id, &files->clients[i], err) < 0)
			return err->code;
	}
	*ret_tls = TAKE(t);
	return OK;
}

struct host_tls *host_tls_ref(struct host_tls *t)
{
	if (t)
		atomic_fetch_add(&t->refs, 1);
	return t;
}

void host_tls_unref(struct host_tls *t)
{
	if (t && atomic_fetch_sub(&t->refs, 1) == 1)
		tls_free(t);
}
