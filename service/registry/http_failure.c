/* What curl says about a failure, in the words that docker's users know. */
#include <stdio.h>
#include <strings.h>

#include "service/registry/http_internal.h"

/* Go's words for what a connection dies of. */
static const char *errno_words(long number)
{
	switch (number) {
	case ECONNREFUSED:
		return "connection refused";
	case ECONNRESET:
		return "connection reset by peer";
	case EPIPE:
		return "broken pipe";
	case EHOSTUNREACH:
		return "no route to host";
	case ENETUNREACH:
		return "network is unreachable";
	case ETIMEDOUT:
		return "connection timed out";
	case EADDRNOTAVAIL:
		return "cannot assign requested address";
	case EMFILE:
	case ENFILE:
		return "too many open files";
	default:
		return "failed";
	}
}

static long os_errno(const struct http_exchange *x)
{
	long number = 0;

	curl_easy_getinfo(x->easy, CURLINFO_OS_ERRNO, &number);
	return number;
}

static void say(struct http_exchange *x, enum http_failure failed, int code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void say(struct http_exchange *x, enum http_failure failed, int code, const char *fmt, ...)
{
	va_list ap;

	x->failed = failed;
	va_start(ap, fmt);
	failv(&x->failure, code, fmt, ap);
	va_end(ap);
	err_wrap(&x->failure, "%s", x->shown);
}

int failure_forbidden(const struct http_exchange *x, const char *address, struct err *err)
{
	return fail(err, E_DENIED,
		    "%s: dial tcp %s: refused: a registry must not lead to loopback or link-local addresses", x->shown,
		    address);
}

static void describe_forbidden(struct http_exchange *x)
{
	x->failed = HTTP_FAILED_FORBIDDEN;
	failure_forbidden(x, x->dialled, &x->failure);
}

static void describe_connect(struct http_exchange *x)
{
	if (x->forbidden)
		describe_forbidden(x);
	else if (!x->dialled[0])
		say(x, HTTP_FAILED_CONNECT, E_REGISTRY, "dial tcp: %s", x->curl_text);
	else
		say(x, HTTP_FAILED_CONNECT, E_REGISTRY, "dial tcp %s: connect: %s", x->dialled,
		    errno_words(os_errno(x)));
}

static bool says(const struct http_exchange *x, const char *words)
{
	return strcasestr(x->curl_text, words) != NULL;
}

/* A plain HTTP server answers a TLS hello with text, which OpenSSL reads as a record
 * of an unknown version, or hangs up. An alert is TLS: the handshake was refused. */
static bool peer_speaks_no_tls(const struct http_exchange *x)
{
	static const char *const signs[] = { "wrong version number", "packet length too long", "record layer failure",
					     "http request" };

	for (size_t i = 0; i < ARRAY_LEN(signs); i++)
		if (says(x, signs[i]))
			return true;
	return false;
}

static void describe_handshake(struct http_exchange *x)
{
	if (peer_speaks_no_tls(x))
		say(x, HTTP_FAILED_NOT_TLS, E_TLS, "http: server gave HTTP response to HTTPS client");
	else if (says(x, "alert") || says(x, "protocol") || says(x, "cipher"))
		say(x, HTTP_FAILED_TLS, E_TLS, "the TLS handshake with %s failed: %s", x->host, x->curl_text);
	else
		say(x, HTTP_FAILED_NOT_TLS, E_TLS, "the TLS handshake with %s broke off: EOF", x->host);
}

static void describe_certificate(struct http_exchange *x)
{
	static const char prefix[] = "SSL certificate problem: ";
	const char *reason = x->curl_text[0] ? x->curl_text : "certificate verify failed";

	if (!strncmp(reason, prefix, sizeof prefix - 1))
		reason += sizeof prefix - 1;
	say(x, HTTP_FAILED_TLS, E_TLS,
	    "the certificate of %s is not trusted: %s (install the CA that signed it, or start imaged with "
	    "--insecure-registry %s)",
	    x->host, reason, x->host);
}

static void describe_timeout(struct http_exchange *x)
{
	long port = 0; /* ours: set once TCP is connected */

	curl_easy_getinfo(x->easy, CURLINFO_LOCAL_PORT, &port);
	if (port > 0)
		say(x, HTTP_FAILED_BROKEN, E_REGISTRY, "net/http: TLS handshake timeout");
	else if (x->dialled[0])
		say(x, HTTP_FAILED_CONNECT, E_REGISTRY, "dial tcp %s: i/o timeout", x->dialled);
	else
		say(x, HTTP_FAILED_RESOLVE, E_REGISTRY, "dial tcp: lookup %s: i/o timeout", x->host);
}

static void describe_broken(struct http_exchange *x)
{
	long number = os_errno(x);

	if (number)
		say(x, HTTP_FAILED_BROKEN, E_REGISTRY, "read tcp %s: %s", x->dialled, errno_words(number));
	else
		say(x, HTTP_FAILED_BROKEN, E_REGISTRY, "unexpected EOF");
}

void failure_describe(struct http_exchange *x, CURLcode result)
{
	switch (result) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return say(x, HTTP_FAILED_RESOLVE, E_REGISTRY, "dial tcp: lookup %s: no such host", x->host);
	case CURLE_COULDNT_RESOLVE_PROXY:
		return say(x, HTTP_FAILED_RESOLVE, E_REGISTRY, "proxyconnect tcp: %s", x->curl_text);
	case CURLE_COULDNT_CONNECT:
	case CURLE_ABORTED_BY_CALLBACK:
		return describe_connect(x);
	case CURLE_OPERATION_TIMEDOUT:
		return describe_timeout(x);
	case CURLE_SSL_CONNECT_ERROR:
		return describe_handshake(x);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
		return describe_certificate(x);
	case CURLE_SSL_CACERT_BADFILE:
		return say(x, HTTP_FAILED_TLS, E_TLS, "cannot read the trusted certificates: %s", x->curl_text);
	case CURLE_GOT_NOTHING:
		return say(x, HTTP_FAILED_BROKEN, E_REGISTRY, "EOF");
	case CURLE_PARTIAL_FILE:
		return say(x, HTTP_FAILED_BROKEN, E_REGISTRY, "unexpected EOF");
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return describe_broken(x);
	case CURLE_OUT_OF_MEMORY:
		return say(x, HTTP_FAILED_LOCAL, E_NO_MEMORY, "out of memory");
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return say(x, HTTP_FAILED_BROKEN, E_REGISTRY, "malformed HTTP response");
	default:
		return say(x, HTTP_FAILED_BROKEN, E_REGISTRY, "%s",
			   x->curl_text[0] ? x->curl_text : curl_easy_strerror(result));
	}
}
