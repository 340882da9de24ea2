#include <fcntl.h>
#include <grpc/grpc_security.h>

#include "client/lib/internal.h"
#include "proto/runtime/buf.h"

enum { PEM_MAX = 1024 * 1024 };

static void wipe_buf(struct buf *b)
{
	wipe(b->data, b->cap);
	buf_free(b);
}

static int fail_file(const char *what, const char *path, const char *why, struct err *err)
{
	return fail(err, E_NO_DAEMON, "cannot use the %s '%s': %s", what, path, why);
}

static int read_all(int fd, struct buf *out)
{
	for (;;) {
		void *room = buf_reserve(out, 4096);
		ssize_t n;

		if (!room)
			return EFBIG;
		n = read(fd, room, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : 0;
		out->len += (size_t)n;
	}
}

static int read_pem(const char *what, const char *path, struct buf *out, struct err *err)
{
	CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	int number = fd < 0 ? errno : read_all(fd, out);

	if (number)
		return fail_file(what, path, strerrordesc_np(number), err);
	if (!buf_append(out, "", 0))
		return fail_nomem(err);
	if (!strstr(buf_text(out), "-----BEGIN "))
		return fail_file(what, path, "it is not a PEM file", err);
	return OK;
}

static int load_tls(const struct rpc_channel_options *o, grpc_channel_credentials **ret_credentials, struct err *err)
{
	CLEANUP(buf_free) struct buf ca = BUF_INIT(PEM_MAX);
	CLEANUP(buf_free) struct buf cert = BUF_INIT(PEM_MAX);
	CLEANUP(wipe_buf) struct buf key = BUF_INIT(PEM_MAX);
	grpc_ssl_pem_key_cert_pair pair;
	int r = read_pem("CA certificate", o->ca_file, &ca, err);

	if (r == OK && o->cert_file)
		r = read_pem("client certificate", o->cert_file, &cert, err);
	if (r == OK && o->key_file)
		r = read_pem("client key", o->key_file, &key, err);
	if (r < 0)
		return r;
	pair.private_key = buf_text(&key);
	pair.cert_chain = buf_text(&cert);
	*ret_credentials = grpc_ssl_credentials_create_ex(buf_text(&ca), o->cert_file ? &pair : NULL, NULL, NULL);
	return *ret_credentials ? OK : fail(err, E_NO_DAEMON, "the TLS files of the connection are not valid");
}

int client_credentials_load(const struct rpc_channel_options *o, grpc_channel_credentials **ret_credentials,
			    struct err *err)
{
	if (!o->cert_file != !o->key_file)
		return fail(err, E_USAGE, "a client certificate and its key go together");
	if (o->cert_file && !o->ca_file)
		return fail(err, E_USAGE, "a client certificate needs the CA certificate of the server, too");
	if (o->ca_file)
		return load_tls(o, ret_credentials, err);
	*ret_credentials = grpc_insecure_credentials_create();
	return *ret_credentials ? OK : fail_nomem(err);
}
