/* The one thread that drives all of libcurl, and the queue that leads to it. */
#include <assert.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>

#include "service/registry/http_internal.h"

enum {
	DEFAULT_CONNECT_MS = 30 * 1000,
	DEFAULT_HEADER_MS = 60 * 1000,
	DEFAULT_STALL_MS = 60 * 1000,
	DEFAULT_CONNECTIONS_PER_HOST = 24, /* 16 with bodies (transfer.h), and questions beside them */
	DEFAULT_CONNECTIONS = 64,
	IDLE_POLL_MS = 10 * 60 * 1000, /* curl's own timers shorten it */
};

void exchange_post(struct http_exchange *x, enum exchange_op op)
{
	struct http_client *c = x->client;
	bool wake;

	pthread_mutex_lock(&c->mu);
	x->ops |= op;
	wake = !c->queue;
	if (!x->queued) {
		x->queued = true;
		x->next = NULL;
		*c->queue_end = x;
		c->queue_end = &x->next;
	}
	pthread_mutex_unlock(&c->mu);
	if (wake)
		curl_multi_wakeup(c->multi);
}

/* Takes the whole queue; the copies of ops and links are the curl thread's. */
static struct http_exchange *take_queue(struct http_client *c, bool *ret_stop)
{
	struct http_exchange *first;

	pthread_mutex_lock(&c->mu);
	first = c->queue;
	for (struct http_exchange *x = first; x; x = x->next) {
		x->ops_run = x->ops;
		x->next_run = x->next;
		x->ops = 0;
		x->queued = false;
	}
	c->queue = NULL;
	c->queue_end = &c->queue;
	*ret_stop = c->stop;
	pthread_mutex_unlock(&c->mu);
	return first;
}

static void run_ops(struct http_exchange *x)
{
	struct http_client *c = x->client;

	if (x->ops_run & OP_CLOSE) {
		if (x->added)
			curl_multi_remove_handle(c->multi, x->easy);
		exchange_free(x);
		return;
	}
	if (x->ops_run & OP_START) {
		if (curl_multi_add_handle(c->multi, x->easy) == CURLM_OK)
			x->added = true;
		else
			exchange_finish(x, CURLE_OUT_OF_MEMORY);
	}
	if (x->ops_run & OP_RESUME && x->added)
		curl_easy_pause(x->easy, CURLPAUSE_CONT);
}

static bool run_queue(struct http_client *c)
{
	bool stop;

	for (struct http_exchange *x = take_queue(c, &stop), *next; x; x = next) {
		next = x->next_run;
		run_ops(x);
	}
	return !stop;
}

static void settle_touched(struct http_client *c)
{
	while (c->touched) {
		struct http_exchange *x = c->touched;

		c->touched = x->next_touched;
		x->is_touched = false;
		exchange_settle(x);
	}
}

static void reap_finished(struct http_client *c)
{
	const CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(c->multi, &left))) {
		CURLcode result = m->data.result;
		struct http_exchange *x = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &x);
		exchange_finish(x, result);
	}
}

/* OpenSSL reads its configuration and looks its algorithms up for the first connection,
 * which costs more than a millisecond: here nobody waits for it. */
static void warm_tls(void)
{
	SSL_CTX_free(SSL_CTX_new(TLS_client_method()));
}

static void *drive(void *arg)
{
	struct http_client *c = arg;
	sigset_t all;
	int running;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	warm_tls();
	while (run_queue(c)) {
		curl_multi_perform(c->multi, &running);
		/* Bytes before the end: who is woken by the end finds them. */
		settle_touched(c);
		reap_finished(c);
		curl_multi_poll(c->multi, NULL, 0, IDLE_POLL_MS, NULL);
	}
	return NULL;
}

static char *copy_or_null(const char *text)
{
	return text ? strdup(text) : NULL;
}

/* The system's trust as libcurl was built with it. The directory is left out where
 * the bundle is used: only then does libcurl keep the parsed certificates between
 * connections. Extra trust is read beside the directory. */
static int set_trust(struct http_client *c, const struct http_options *o, struct err *err)
{
	const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
	const char *file = o->ca_file ? o->ca_file : o->extra_ca_file ? o->extra_ca_file : v->cainfo;
	const char *path = o->ca_file ? NULL : o->extra_ca_file || !v->cainfo ? v->capath : NULL;

	c->system_path = v->capath ? v->capath : "/etc/ssl/certs";
	c->ca_file = copy_or_null(file);
	c->ca_path = copy_or_null(path);
	if ((file && !c->ca_file) || (path && !c->ca_path))
		return fail_nomem(err);
	return OK;
}

static int64_t or_default(int64_t value, int64_t fallback)
{
	return value > 0 ? value : fallback;
}

static int set_multi(struct http_client *c, const struct http_options *o, struct err *err)
{
	long total = (long)or_default(o->connections, DEFAULT_CONNECTIONS);
	long per_host = (long)or_default(o->connections_per_host, DEFAULT_CONNECTIONS_PER_HOST);

	c->multi = curl_multi_init();
	if (!c->multi)
		return fail_nomem(err);
	curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	curl_multi_setopt(c->multi, CURLMOPT_MAX_HOST_CONNECTIONS, per_host);
	curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, total);
	curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, total);
	return OK;
}

static void release(struct http_client *c)
{
	if (c->multi)
		curl_multi_cleanup(c->multi);
	pthread_mutex_destroy(&c->mu);
	proxies_free(&c->proxies);
	free(c->user_agent);
	free(c->ca_file);
	free(c->ca_path);
	free(c);
}

static void releasep(struct http_client **c)
{
	if (*c)
		release(*c);
}

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void start_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

int http_client_new(const struct http_options *options, struct http_client **ret_client, struct err *err)
{
	CLEANUP(releasep) struct http_client *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return fail_nomem(err);
	pthread_once(&curl_once, start_curl);
	pthread_mutex_init(&c->mu, NULL);
	c->queue_end = &c->queue;
	c->connect_ms = or_default(options->connect_timeout_ms, DEFAULT_CONNECT_MS);
	c->header_ms = or_default(options->header_timeout_ms, DEFAULT_HEADER_MS);
	c->stall_ms = or_default(options->stall_timeout_ms, DEFAULT_STALL_MS);
	c->user_agent = strdup(options->user_agent ? options->user_agent : "imaged/" IMAGED_VERSION);
	if (!c->user_agent)
		return fail_nomem(err);
	r = proxies_read(&c->proxies, err);
	if (r == OK)
		r = set_trust(c, options, err);
	if (r == OK)
		r = set_multi(c, options, err);
	if (r != OK)
		return r;
	errno = pthread_create(&c->thread, NULL, drive, c);
	if (errno)
		return fail_errno(err, "start the HTTP thread");
	*ret_client = TAKE(c);
	return OK;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->mu);
	c->stop = true;
	pthread_mutex_unlock(&c->mu);
	curl_multi_wakeup(c->multi);
	pthread_join(c->thread, NULL);
	release(c);
}

const char *http_client_proxy(const struct http_client *c, const struct url *u)
{
	return proxies_for(&c->proxies, u);
}
