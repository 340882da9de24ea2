#include "service/build/run/worker/net_files.h"

#include <arpa/inet.h>

static struct bytes next_word(struct bytes *line)
{
	struct bytes word;

	while (line->len && (line->data[0] == ' ' || line->data[0] == '\t'))
		*line = (struct bytes){ line->data + 1, line->len - 1 };
	word = (struct bytes){ line->data, 0 };
	while (word.len < line->len && line->data[word.len] != ' ' && line->data[word.len] != '\t')
		word.len++;
	*line = (struct bytes){ line->data + word.len, line->len - word.len };
	return word;
}

static bool is_word(struct bytes b, const char *text)
{
	return b.len == strlen(text) && !memcmp(b.data, text, b.len);
}

/* 127.0.0.0/8, ::1; a scope behind % does not matter. */
static bool is_loopback(struct bytes address)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr six;
	struct in_addr four;
	size_t len = 0;

	while (len < address.len && len < sizeof text - 1 && address.data[len] != '%')
		len++;
	memcpy(text, address.data, len);
	text[len] = 0;
	if (inet_pton(AF_INET, text, &four) == 1)
		return (ntohl(four.s_addr) >> 24) == 127;
	return inet_pton(AF_INET6, text, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

static bool is_useless(struct bytes line)
{
	return is_word(next_word(&line), "nameserver") && is_loopback(next_word(&line));
}

bool net_files_resolv(struct bytes host, bool host_network, struct buf *out)
{
	while (host.len) {
		const uint8_t *end = memchr(host.data, '\n', host.len);
		struct bytes line = { host.data, end ? (size_t)(end - host.data) : host.len };
		size_t taken = line.len + (end ? 1 : 0);

		if (host_network || !is_useless(line)) {
			buf_append(out, line.data, line.len);
			buf_putc(out, '\n');
		}
		host = (struct bytes){ host.data + taken, host.len - taken };
	}
	return buf_ok(out);
}

/* Nothing that could begin another entry. */
static bool is_name(const uint8_t *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] == 0x7f || name[i] == '#')
			return false;
	return len && len < 254;
}

/* "NAME:IP", where the address may be in brackets. */
static int add_host(struct bytes entry, struct buf *out, struct err *err)
{
	const uint8_t *colon = entry.len ? memchr(entry.data, ':', entry.len) : NULL;
	char address[INET6_ADDRSTRLEN] = "", scratch[sizeof(struct in6_addr)];
	struct bytes ip;

	if (!colon || !is_name(entry.data, (size_t)(colon - entry.data)))
		return fail(err, E_INVALID, "bad format for add-host: \"%.*s\"", (int)min_size(entry.len, 128),
			    (const char *)entry.data);
	ip = (struct bytes){ colon + 1, entry.len - (size_t)(colon + 1 - entry.data) };
	if (ip.len >= 2 && ip.data[0] == '[' && ip.data[ip.len - 1] == ']')
		ip = (struct bytes){ ip.data + 1, ip.len - 2 };
	snprintf(address, sizeof address, "%.*s", (int)min_size(ip.len, sizeof address), (const char *)ip.data);
	if (inet_pton(AF_INET, address, scratch) != 1 && inet_pton(AF_INET6, address, scratch) != 1)
		return fail(err, E_INVALID, "invalid IP address in add-host: \"%s\"", address);
	buf_printf(out, "%s\t%.*s\n", address, (int)(colon - entry.data), (const char *)entry.data);
	return OK;
}

int net_files_hosts(const char *hostname, const struct bytes *extra, size_t n, struct buf *out, struct err *err)
{
	buf_printf(out, "127.0.0.1\tlocalhost %s\n::1\tlocalhost ip6-localhost ip6-loopback\n", hostname);
	for (size_t i = 0; i < n; i++) {
		int rc = add_host(extra[i], out, err);

		if (rc != OK)
			return rc;
	}
	return buf_ok(out) ? OK : fail(err, E_LIMIT, "too many hosts for one step");
}
