#include "tests/unit/registry/fake.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>

#include "tests/unit/types/unit.h"

_Thread_local bool fake_thread;

enum { CONNECTIONS_MAX = 16384, HEAD_MAX = 64 * 1024 };

struct fake_conn {
	struct fake *fake;
	pthread_t thread;
	int fd;
	SSL *ssl;
	unsigned number;
	bool hang_up;
	char head[HEAD_MAX];
	size_t n_head;
};

struct fake {
	enum fake_kind kind;
	fake_handler *handler;
	void *arg;
	int listener;
	unsigned port;
	char authority[32];
	SSL_CTX *tls;
	pthread_t thread;

	pthread_mutex_t mu;
	bool stop;
	struct fake_conn *connections[CONNECTIONS_MAX];
	unsigned n_connections;
	struct fake_request **log; /* copies */
	unsigned n_log;
};

/* ---- the certificate ------------------------------------------------------- */

static struct {
	EVP_PKEY *key;
	X509 *certificate;
	char file[64];
} identity;

static void remove_ca_file(void)
{
	unlink(identity.file);
	X509_free(identity.certificate);
	EVP_PKEY_free(identity.key);
}

static void add_extension(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static void make_identity(void)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	int fd;
	FILE *f;

	identity.key = EVP_EC_gen("P-256");
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -60L * 60);
	X509_gmtime_adj(X509_getm_notAfter(x), 24L * 60 * 60);
	X509_set_pubkey(x, identity.key);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"fake registry", -1, -1, 0);
	X509_set_issuer_name(x, name);
	add_extension(x, NID_basic_constraints, "critical,CA:TRUE");
	add_extension(x, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
	X509_sign(x, identity.key, EVP_sha256());
	identity.certificate = x;
	snprintf(identity.file, sizeof identity.file, "/tmp/fake-registry-ca-XXXXXX");
	fd = mkstemp(identity.file);
	f = fdopen(fd, "w");
	PEM_write_X509(f, x);
	fclose(f);
	atexit(remove_ca_file);
}

static void ensure_identity(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_identity);
}

const char *fake_ca_file(void)
{
	ensure_identity();
	return identity.file;
}

static SSL_CTX *server_context(void)
{
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());

	ensure_identity();
	SSL_CTX_use_certificate(c, identity.certificate);
	SSL_CTX_use_PrivateKey(c, identity.key);
	return c;
}

/* ---- bytes ----------------------------------------------------------------- */

static ssize_t receive(struct fake_conn *c, void *data, size_t len)
{
	return c->ssl ? SSL_read(c->ssl, data, (int)len) : recv(c->fd, data, len, 0);
}

bool fake_send(struct fake_conn *c, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		size_t part = len < 1024 * 1024 ? len : 1024 * 1024;
		ssize_t n = c->ssl ? SSL_write(c->ssl, at, (int)part) : send(c->fd, at, part, MSG_NOSIGNAL);

		if (n <= 0) {
			c->hang_up = true;
			return false;
		}
		at += n;
		len -= (size_t)n;
	}
	return true;
}

bool fake_puts(struct fake_conn *c, const char *text)
{
	return fake_send(c, text, strlen(text));
}

void fake_reply(struct fake_conn *c, const struct fake_request *q, int status, const char *headers, const void *body,
		size_t len)
{
	char head[8192];

	snprintf(head, sizeof head, "HTTP/1.1 %d Status\r\n%sContent-Length: %zu\r\n\r\n", status, headers, len);
	if (fake_puts(c, head) && strcmp(q->method, "HEAD") != 0)
		fake_send(c, body, len);
}

void fake_text(struct fake_conn *c, const struct fake_request *q, int status, const char *headers, const char *body)
{
	fake_reply(c, q, status, headers, body, strlen(body));
}

void fake_hang_up(struct fake_conn *c)
{
	c->hang_up = true;
}

void fake_reset(struct fake_conn *c)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	c->hang_up = true;
}

void fake_stall(struct fake_conn *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };

	poll(&p, 1, -1);
	c->hang_up = true;
}

/* ---- requests -------------------------------------------------------------- */

const char *fake_header(const struct fake_request *q, const char *name)
{
	for (size_t i = 0; i < q->n_headers; i++)
		if (!strcasecmp(q->headers[i].name, name))
			return q->headers[i].value;
	return NULL;
}

static void parse_header(struct fake_request *q, char *line)
{
	char *colon = strchr(line, ':');

	if (!colon || q->n_headers == FAKE_HEADERS_MAX)
		return;
	*colon++ = 0;
	colon += strspn(colon, " ");
	snprintf(q->headers[q->n_headers].name, sizeof q->headers[0].name, "%s", line);
	snprintf(q->headers[q->n_headers++].value, sizeof q->headers[0].value, "%s", colon);
}

static void parse(struct fake_request *q, char *head)
{
	char *rest = head, *line = strsep(&rest, "\n");

	sscanf(line, "%7s %2047s", q->method, q->path);
	while ((line = strsep(&rest, "\n"))) {
		line[strcspn(line, "\r")] = 0;
		parse_header(q, line);
	}
}

/* Takes a head and a body from the connection; false when the peer is gone. */
static bool read_request(struct fake_conn *c, struct fake_request *q)
{
	char *end;
	const char *length;
	size_t head, body;

	while (!(end = memmem(c->head, c->n_head, "\r\n\r\n", 4))) {
		ssize_t n = c->n_head < sizeof c->head ? receive(c, c->head + c->n_head, sizeof c->head - c->n_head)
						       : 0;

		if (n <= 0)
			return false;
		c->n_head += (size_t)n;
		if (c->head[0] == 0x16) { /* a TLS hello: as real servers do */
			fake_puts(c, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
			return false;
		}
	}
	*end = 0;
	head = (size_t)(end - c->head) + 4;
	memset(q, 0, sizeof *q);
	parse(q, c->head);
	length = fake_header(q, "Content-Length");
	body = length ? strtoul(length, NULL, 10) : 0;
	if (body > sizeof c->head - head) { /* the handler answers before it has come */
		c->n_head = 0;
		q->connection = c->number;
		fake_hang_up(c);
		return true;
	}
	while (c->n_head < head + body && c->n_head < sizeof c->head) {
		ssize_t n = receive(c, c->head + c->n_head, sizeof c->head - c->n_head);

		if (n <= 0)
			return false;
		c->n_head += (size_t)n;
	}
	snprintf(q->body, sizeof q->body, "%.*s", (int)body, c->head + head);
	c->n_head -= head + body;
	memmove(c->head, c->head + head + body, c->n_head);
	q->connection = c->number;
	return true;
}

static void keep(struct fake *f, struct fake_request *q)
{
	pthread_mutex_lock(&f->mu);
	q->number = f->n_log + 1;
	if (f->n_log == FAKE_LOG_MAX)
		abort();
	f->log[f->n_log] = malloc(sizeof *q);
	*f->log[f->n_log++] = *q;
	pthread_mutex_unlock(&f->mu);
}

static bool matches(const struct fake_request *q, const char *method, const char *path)
{
	return !strncmp(q->method, method, strlen(method)) && !strncmp(q->path, path, strlen(path));
}

unsigned fake_count(struct fake *f, const char *method, const char *path)
{
	unsigned n = 0;

	pthread_mutex_lock(&f->mu);
	for (unsigned i = 0; i < f->n_log; i++)
		n += matches(f->log[i], method, path);
	pthread_mutex_unlock(&f->mu);
	return n;
}

bool fake_last(struct fake *f, const char *method, const char *path, struct fake_request *ret)
{
	bool found = false;

	pthread_mutex_lock(&f->mu);
	for (unsigned i = f->n_log; i-- > 0 && !found;) {
		found = matches(f->log[i], method, path);
		if (found)
			*ret = *f->log[i];
	}
	pthread_mutex_unlock(&f->mu);
	return found;
}

unsigned fake_connections(struct fake *f)
{
	unsigned n;

	pthread_mutex_lock(&f->mu);
	n = f->n_connections;
	pthread_mutex_unlock(&f->mu);
	return n;
}

/* ---- threads --------------------------------------------------------------- */

static bool shake_hands(struct fake_conn *c)
{
	if (c->fake->kind == FAKE_PLAIN)
		return true;
	c->ssl = SSL_new(c->fake->tls);
	SSL_set_fd(c->ssl, c->fd);
	return SSL_accept(c->ssl) == 1;
}

static void *serve(void *arg)
{
	struct fake_conn *c = arg;
	struct fake_request *q;
	struct linger linger;
	socklen_t len = sizeof linger;

	fake_thread = true;
	q = malloc(sizeof *q);
	if (shake_hands(c)) {
		while (!c->hang_up && read_request(c, q)) {
			keep(c->fake, q);
			c->fake->handler(c, q, c->fake->arg);
		}
	}
	free(q);
	getsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, &len);
	if (c->ssl)
		SSL_free(c->ssl);
	if (linger.l_onoff) { /* only close() resets; the number stays taken */
		int spare = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		dup3(spare, c->fd, O_CLOEXEC);
		close(spare);
	} else {
		shutdown(c->fd, SHUT_RDWR);
	}
	return NULL;
}

static void take_connection(struct fake *f, int fd)
{
	struct fake_conn *c = calloc(1, sizeof *c);
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	c->fake = f;
	c->fd = fd;
	pthread_mutex_lock(&f->mu);
	if (f->n_connections == CONNECTIONS_MAX)
		abort();
	c->number = f->n_connections;
	f->connections[f->n_connections++] = c;
	pthread_create(&c->thread, NULL, serve, c);
	pthread_mutex_unlock(&f->mu);
}

static void *take_connections(void *arg)
{
	struct fake *f = arg;
	int fd;

	fake_thread = true;
	while ((fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		take_connection(f, fd);
	return NULL;
}

static int listen_somewhere(unsigned *ret_port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 128) ||
	    getsockname(fd, (struct sockaddr *)&a, &len))
		abort();
	*ret_port = ntohs(a.sin_port);
	return fd;
}

unsigned free_port(void)
{
	unsigned port;

	close(listen_somewhere(&port));
	return port;
}

struct fake *fake_start(enum fake_kind kind, fake_handler *handler, void *arg)
{
	struct fake *f = calloc(1, sizeof *f);

	signal(SIGPIPE, SIG_IGN);
	f->kind = kind;
	f->handler = handler;
	f->arg = arg;
	f->log = calloc(FAKE_LOG_MAX, sizeof *f->log);
	f->listener = listen_somewhere(&f->port);
	snprintf(f->authority, sizeof f->authority, "127.0.0.1:%u", f->port);
	if (kind == FAKE_TLS)
		f->tls = server_context();
	pthread_mutex_init(&f->mu, NULL);
	pthread_create(&f->thread, NULL, take_connections, f);
	return f;
}

void fake_stop(struct fake *f)
{
	if (!f)
		return;
	shutdown(f->listener, SHUT_RDWR);
	pthread_join(f->thread, NULL);
	close(f->listener);
	for (unsigned i = 0; i < f->n_connections; i++)
		shutdown(f->connections[i]->fd, SHUT_RDWR);
	for (unsigned i = 0; i < f->n_connections; i++) {
		pthread_join(f->connections[i]->thread, NULL);
		close(f->connections[i]->fd);
		free(f->connections[i]);
	}
	SSL_CTX_free(f->tls);
	pthread_mutex_destroy(&f->mu);
	for (unsigned i = 0; i < f->n_log; i++)
		free(f->log[i]);
	free(f->log);
	free(f);
}

unsigned fake_port(const struct fake *f)
{
	return f->port;
}

const char *fake_authority(const struct fake *f)
{
	return f->authority;
}
