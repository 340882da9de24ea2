#include "service/rpc/credentials.h"

#include <pthread.h>

#include "service/rpc/certificates.h"

struct credentials {
	struct credentials *next;
	struct rpc_tls tls; /* its strings are ours */
	rpc_log_fn *log;
	void *log_arg;
	pthread_mutex_t mu;
	struct certificates current;  /* guarded by mu: what gRPC has; none before the first handshake */
	char complaint[ERR_TEXT_MAX]; /* guarded by mu: the last that was told */
};

static bool copy(const char *text, const char **ret_text)
{
	*ret_text = text ? strdup(text) : NULL;
	return *ret_text || !text;
}

static int copy_tls(const struct rpc_tls *from, struct rpc_tls *to, struct err *err)
{
	*to = (struct rpc_tls){ .allow_anonymous = from->allow_anonymous };
	return copy(from->cert_file, &to->cert_file) && copy(from->key_file, &to->key_file) &&
			       copy(from->client_ca_file, &to->client_ca_file)
		       ? OK
		       : fail_nomem(err);
}

/* ---- at a handshake, on a thread of gRPC's ---- */

/* With the lock held. A handshake that meets the same again is no news. */
static void complain(struct credentials *c, const struct err *why)
{
	struct err err = ERR_INIT;

	if (!c->log || !strcmp(c->complaint, why->text))
		return;
	memcpy(c->complaint, why->text, sizeof c->complaint);
	fail(&err, E_UNKNOWN, "%s; the certificates from before stay in use", why->text);
	c->log(c->log_arg, &(struct rpc_event){ .method = "connection", .err = &err });
}

/* gRPC insists on authorities also where no client is asked for a certificate. */
static grpc_ssl_server_certificate_config *config_of(const struct certificates *c)
{
	grpc_ssl_pem_key_cert_pair pair = { .private_key = c->key.text, .cert_chain = c->cert.text };

	return grpc_ssl_server_certificate_config_create(c->ca.text ? c->ca.text : c->cert.text, &pair, 1);
}

/* With the lock held. */
static grpc_ssl_certificate_config_reload_status reload(struct credentials *c,
							grpc_ssl_server_certificate_config **ret_config)
{
	CLEANUP(certificates_free) struct certificates now = { 0 };
	struct err err = ERR_INIT;
	int r = certificates_read(&c->tls, &now, &err);
	bool same = r == OK && certificates_equal(&now, &c->current);

	if (r == OK && !same)
		r = certificates_check(&c->tls, &now, &err);
	if (r < 0)
		complain(c, &err);
	else
		c->complaint[0] = 0;
	if (r < 0 || same)
		return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
	*ret_config = config_of(&now);
	certificates_free(&c->current);
	c->current = TAKE(now);
	return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

static grpc_ssl_certificate_config_reload_status fetch(void *arg, grpc_ssl_server_certificate_config **ret_config)
{
	struct credentials *c = arg;
	grpc_ssl_certificate_config_reload_status status;

	pthread_mutex_lock(&c->mu);
	status = reload(c, ret_config);
	pthread_mutex_unlock(&c->mu);
	return status;
}

/* ---- the port ---- */

static int check_now(const struct rpc_tls *tls, struct err *err)
{
	CLEANUP(certificates_free) struct certificates now = { 0 };
	int r = certificates_read(tls, &now, err);

	return r < 0 ? r : certificates_check(tls, &now, err);
}

static grpc_server_credentials *create(struct credentials *c)
{
	grpc_ssl_client_certificate_request_type request =
		c->tls.client_ca_file ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
				      : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;

	return grpc_ssl_server_credentials_create_with_options(
		grpc_ssl_server_credentials_create_options_using_config_fetcher(request, fetch, c));
}

static void free_one(struct credentials *c)
{
	certificates_free(&c->current);
	free((char *)c->tls.cert_file);
	free((char *)c->tls.key_file);
	free((char *)c->tls.client_ca_file);
	pthread_mutex_destroy(&c->mu);
	free(c);
}

int credentials_new(const struct rpc_tls *tls, rpc_log_fn *log, void *log_arg, struct credentials **list,
		    grpc_server_credentials **ret_grpc, struct err *err)
{
	struct credentials *c;
	int r = check_now(tls, err);

	if (r < 0)
		return r;
	c = calloc(1, sizeof *c);
	if (!c)
		return fail_nomem(err);
	c->log = log;
	c->log_arg = log_arg;
	pthread_mutex_init(&c->mu, NULL);
	r = copy_tls(tls, &c->tls, err);
	if (r < 0) {
		free_one(c);
		return r;
	}
	*ret_grpc = create(c);
	c->next = *list;
	*list = c;
	return OK;
}

void credentials_free(struct credentials *list)
{
	while (list) {
		struct credentials *next = list->next;

		free_one(list);
		list = next;
	}
}
