/*
 * Input: USER on the first line, then passwd, an empty line, group. Whatever they are, an
 * account comes out that is within its bounds, or a refusal.
 */
#include "service/build/run/worker/account.h"
#include "service/build/run/worker/id_map.h"
#include "service/build/run/worker/net_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static struct bytes take_line(struct bytes *rest)
{
	const uint8_t *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
	struct bytes line = { rest->data, end ? (size_t)(end - rest->data) : rest->len };
	size_t skip = line.len + (end ? 1 : 0);

	*rest = (struct bytes){ rest->data + skip, rest->len - skip };
	return line;
}

static void check_account(const char *user, struct bytes passwd, struct bytes group)
{
	CLEANUP(freep) struct account *a = calloc(1, sizeof *a);
	struct err err = ERR_INIT;
	int rc = account_resolve(user, passwd, group, a, &err);

	require(rc == err.code && (rc == OK || rc == E_INVALID || rc == E_LIMIT));
	if (rc != OK)
		return;
	require(a->n_groups <= ACCOUNT_GROUPS_MAX && a->uid <= INT32_MAX && a->gid <= INT32_MAX);
	require(a->home[0] && strnlen(a->home, sizeof a->home) < sizeof a->home);
}

static void check_map(struct bytes text, const char *name)
{
	uint32_t next = 0;
	struct id_map m;

	id_map_parse(text, name, 5, &m);
	require(m.n >= 1 && m.n <= ID_RANGES_MAX);
	for (size_t i = 0; i < m.n; i++) {
		require(m.range[i].inside == next && m.range[i].count &&
			m.range[i].count <= UINT32_MAX - m.range[i].outside);
		next += m.range[i].count;
	}
}

static void check_net(struct bytes text)
{
	CLEANUP(buf_free) struct buf resolv = BUF_INIT(1 << 20), hosts = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;
	size_t lines = 0;

	require(net_files_resolv(text, false, &resolv) && resolv.len <= text.len + 1);
	if (net_files_hosts("h", &text, 1, &hosts, &err) != OK)
		return;
	for (size_t i = 0; i < hosts.len; i++)
		lines += hosts.data[i] == '\n';
	require(lines == 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes rest = { data, size }, user = take_line(&rest), group = rest;
	CLEANUP(freep) char *name = bytes_to_string(user);
	const uint8_t *empty = rest.len > 1 ? memmem(rest.data, rest.len, "\n\n", 2) : NULL;

	if (!name)
		return 0;
	if (empty)
		group = (struct bytes){ empty + 2, rest.len - (size_t)(empty + 2 - rest.data) };
	check_account(name, rest, group);
	check_map(rest, name);
	check_net(rest);
	return 0;
}
