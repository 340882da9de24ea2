#include "service/rpc/clients.h"

#include <pthread.h>

#include "proto/runtime/hash.h"

/* When a client who is at a limit should try again. */
enum { RETRY_MS = 1000 };

struct client {
	struct clients *all;
	unsigned calls, transfers;
	uint64_t bytes;
	UT_hash_handle hh;
	char key[];
};

struct clients {
	struct client_limits limits;
	pthread_mutex_t mu;
	struct client *table; /* guarded by mu, as what is in it */
};

int clients_new(const struct client_limits *limits, struct clients **ret_clients, struct err *err)
{
	struct clients *all = calloc(1, sizeof *all);

	if (!all)
		return fail_nomem(err);
	all->limits = *limits;
	pthread_mutex_init(&all->mu, NULL);
	*ret_clients = all;
	return OK;
}

void clients_free(struct clients *all)
{
	if (!all)
		return;
	pthread_mutex_destroy(&all->mu);
	free(all);
}

static int at_limit(struct err *err, const char *key, const char *what, uint64_t limit)
{
	fail(err, E_CLIENT_LIMIT, "the client %s may have %llu %s at once: try again when some are done", key,
	     (unsigned long long)limit, what);
	if (err)
		err->retry_after_ms = RETRY_MS;
	return E_CLIENT_LIMIT;
}

/* With the lock held; NULL without memory. */
static struct client *find_or_add(struct clients *all, const char *key)
{
	size_t len = strlen(key);
	struct client *c;

	HASH_FIND(hh, all->table, key, len, c);
	if (c)
		return c;
	c = calloc(1, sizeof *c + len + 1);
	if (!c)
		return NULL;
	c->all = all;
	memcpy(c->key, key, len + 1);
	HASH_ADD_KEYPTR(hh, all->table, c->key, len, c);
	if (HASH_ADDED(c))
		return c;
	free(c);
	return NULL;
}

static void forget_if_idle(struct client *c)
{
	if (c->calls)
		return;
	HASH_DEL(c->all->table, c);
	free(c);
}

static int enter_locked(struct clients *all, struct client *c, bool transfer, struct err *err)
{
	if (c->calls >= all->limits.calls)
		return at_limit(err, c->key, "calls", all->limits.calls);
	if (transfer && c->transfers >= all->limits.transfers)
		return at_limit(err, c->key, "pulls, pushes and copies", all->limits.transfers);
	c->calls++;
	c->transfers += transfer;
	return OK;
}

int clients_enter(struct clients *all, const char *key, bool transfer, struct client **ret_client, struct err *err)
{
	struct client *c;
	int r;

	pthread_mutex_lock(&all->mu);
	c = find_or_add(all, key);
	r = c ? enter_locked(all, c, transfer, err) : fail_nomem(err);
	if (r == OK)
		*ret_client = c;
	else if (c)
		forget_if_idle(c);
	pthread_mutex_unlock(&all->mu);
	return r;
}

void client_leave(struct client *c, bool transfer)
{
	struct clients *all = c->all;

	pthread_mutex_lock(&all->mu);
	c->calls--;
	c->transfers -= transfer;
	forget_if_idle(c);
	pthread_mutex_unlock(&all->mu);
}

int client_refuse_bytes(const struct client *c, struct err *err)
{
	return at_limit(err, c->key, "bytes of messages on their way", c->all->limits.bytes);
}

int client_hold(struct client *c, size_t bytes, struct err *err)
{
	struct clients *all = c->all;
	int r = OK;

	pthread_mutex_lock(&all->mu);
	if (bytes > all->limits.bytes - c->bytes)
		r = client_refuse_bytes(c, err);
	else
		c->bytes += bytes;
	pthread_mutex_unlock(&all->mu);
	return r;
}

void client_release(struct client *c, size_t bytes)
{
	pthread_mutex_lock(&c->all->mu);
	c->bytes -= bytes;
	pthread_mutex_unlock(&c->all->mu);
}
