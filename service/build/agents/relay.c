/* The thread that moves bytes between the sockets of steps and the client of their build. */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "service/build/agents/agents_internal.h"

enum { SHORT_MS = 200 };

/* ---- to the client -------------------------------------------------------------------- */

static bool is_broken(struct build_agents *a)
{
	bool broken;

	pthread_mutex_lock(&a->lock);
	broken = a->is_broken;
	pthread_mutex_unlock(&a->lock);
	return broken;
}

/* Without the lock: it may wait for the client. */
static void tell(struct build_agents *a, const Imaged__V1__AgentData *message)
{
	struct err why = ERR_INIT;

	if (is_broken(a) || a->sink.send(a->sink.arg, message, &why) == OK)
		return;
	pthread_mutex_lock(&a->lock);
	a->is_broken = true;
	pthread_mutex_unlock(&a->lock);
}

static void tell_new(struct build_agents *a, const struct connection *c)
{
	Imaged__V1__AgentData message = IMAGED__V1__AGENT_DATA__INIT;

	message.connection = c->number;
	message.ssh_id = (char *)c->socket->id;
	tell(a, &message);
}

static void tell_data(struct build_agents *a, const struct connection *c, size_t len)
{
	Imaged__V1__AgentData message = IMAGED__V1__AGENT_DATA__INIT;

	message.connection = c->number;
	message.data = (ProtobufCBinaryData){ len, a->piece };
	tell(a, &message);
}

static void tell_end(struct build_agents *a, uint32_t number)
{
	Imaged__V1__AgentData message = IMAGED__V1__AGENT_DATA__INIT;

	message.connection = number;
	message.end = true;
	tell(a, &message);
}

static bool is_later(int number)
{
	return number == EAGAIN || number == EINTR || number == ECONNABORTED;
}

/* ---- connections -------------------------------------------------------------------------- */

static uint32_t free_connection(struct build_agents *a, struct connection *c)
{
	uint32_t number = c->number;

	pthread_mutex_lock(&a->lock);
	closep(&c->fd);
	buf_free(&c->out);
	*c = (struct connection){ .fd = -1 };
	pthread_mutex_unlock(&a->lock);
	return number;
}

static void end_connection(struct build_agents *a, struct connection *c)
{
	tell_end(a, free_connection(a, c));
}

static struct connection *free_slot(struct build_agents *a)
{
	for (size_t i = 0; i < AGENTS_CONNECTIONS_MAX; i++)
		if (!a->connections[i].number)
			return &a->connections[i];
	return NULL;
}

static bool is_taken(const struct build_agents *a, uint32_t number)
{
	for (size_t i = 0; i < AGENTS_CONNECTIONS_MAX; i++)
		if (a->connections[i].number == number)
			return true;
	return false;
}

/* 0 is a free slot's. */
static uint32_t next_number(struct build_agents *a)
{
	do
		a->last_number++;
	while (!a->last_number || is_taken(a, a->last_number));
	return a->last_number;
}

static void accept_one(struct build_agents *a, struct agent_socket *s)
{
	struct connection *c = free_slot(a);
	int fd = c ? accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;

	a->is_short = a->is_short || (c && fd < 0 && !is_later(errno));
	if (fd < 0)
		return;
	pthread_mutex_lock(&a->lock);
	*c = (struct connection){ .number = next_number(a), .fd = fd, .socket = s, .out = BUF_INIT(AGENTS_BUFFER_MAX) };
	pthread_mutex_unlock(&a->lock);
	tell_new(a, c);
}

static void read_some(struct build_agents *a, struct connection *c)
{
	ssize_t n = read(c->fd, a->piece, sizeof a->piece);

	if (n > 0)
		tell_data(a, c, (size_t)n);
	else if (n == 0 || !is_later(errno))
		end_connection(a, c);
}

/* Sockets of steps do not make it wait. False: the step does not take it. */
static bool write_some(struct build_agents *a, struct connection *c)
{
	ssize_t n;
	bool failed;

	pthread_mutex_lock(&a->lock);
	n = send(c->fd, c->out.data + c->written, c->out.len - c->written, MSG_NOSIGNAL);
	failed = n < 0 && !is_later(errno);
	if (n > 0)
		c->written += (size_t)n;
	if (c->written == c->out.len) {
		c->written = 0;
		buf_reset(&c->out);
	}
	pthread_mutex_unlock(&a->lock);
	return !failed;
}

/* ---- what is over ---------------------------------------------------------------------------- */

static void end_connections_of(struct build_agents *a, const struct agent_socket *s)
{
	for (size_t i = 0; i < AGENTS_CONNECTIONS_MAX; i++)
		if (a->connections[i].number && (!s || a->connections[i].socket == s))
			end_connection(a, &a->connections[i]);
}

/* One that its step has closed, taken out of the table; NULL: none. */
static struct agent_socket *take_closed(struct build_agents *a, bool any)
{
	struct agent_socket *found = NULL;

	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; !found && i < a->n_sockets; i++)
		if (any || a->sockets[i]->is_closed) {
			found = a->sockets[i];
			a->sockets[i] = a->sockets[--a->n_sockets];
		}
	pthread_mutex_unlock(&a->lock);
	return found;
}

static void drop_sockets(struct build_agents *a, bool all)
{
	struct agent_socket *s;

	while ((s = take_closed(a, all))) {
		end_connections_of(a, s);
		closep(&s->listener);
		closep(&s->path);
		free(s);
	}
}

/* Those that the client has ended and that the step has read to their end. */
static void drop_connections(struct build_agents *a)
{
	for (size_t i = 0; i < AGENTS_CONNECTIONS_MAX; i++) {
		struct connection *c = &a->connections[i];
		bool is_over;

		pthread_mutex_lock(&a->lock);
		is_over = c->number && c->is_over && !c->out.len;
		pthread_mutex_unlock(&a->lock);
		if (is_over)
			end_connection(a, c);
	}
}

/* ---- the loop ------------------------------------------------------------------------------------ */

static short events_of(const struct connection *c)
{
	return (short)((c->is_over ? 0 : POLLIN) | (c->out.len ? POLLOUT : 0));
}

/* The wake, the sockets, all slots of connections. How many sockets. */
static size_t fill_wait(struct build_agents *a)
{
	bool has_room = !a->is_short && free_slot(a);
	size_t n;

	pthread_mutex_lock(&a->lock);
	n = a->n_sockets;
	a->wait[0] = (struct pollfd){ .fd = a->wake, .events = POLLIN };
	for (size_t i = 0; i < n; i++)
		a->wait[1 + i] = (struct pollfd){ .fd = has_room ? a->sockets[i]->listener : -1, .events = POLLIN };
	for (size_t i = 0; i < AGENTS_CONNECTIONS_MAX; i++) {
		const struct connection *c = &a->connections[i];

		a->wait[1 + n + i] = (struct pollfd){ .fd = c->number ? c->fd : -1, .events = events_of(c) };
	}
	pthread_mutex_unlock(&a->lock);
	return n;
}

static void serve(struct build_agents *a, struct connection *c, short events)
{
	bool has_failed = events & POLLOUT && !write_some(a, c);

	if (has_failed || (events & POLLERR && !(events & POLLIN)))
		end_connection(a, c);
	else if (events & (POLLIN | POLLHUP))
		read_some(a, c);
}

/* Sockets are only added meanwhile, at the end. */
static void serve_all(struct build_agents *a, size_t n)
{
	eventfd_t count;

	if (a->wait[0].revents)
		eventfd_read(a->wake, &count);
	for (size_t i = 0; i < AGENTS_CONNECTIONS_MAX; i++)
		if (a->wait[1 + n + i].revents)
			serve(a, &a->connections[i], a->wait[1 + n + i].revents);
	for (size_t i = 0; i < n; i++)
		if (a->wait[1 + i].revents)
			accept_one(a, a->sockets[i]);
}

static bool is_stopping(struct build_agents *a)
{
	bool stopping;

	pthread_mutex_lock(&a->lock);
	stopping = a->is_stopping;
	pthread_mutex_unlock(&a->lock);
	return stopping;
}

void *relay_run(void *agents)
{
	struct build_agents *a = agents;

	while (!is_stopping(a)) {
		int patience;
		size_t n;

		if (is_broken(a))
			end_connections_of(a, NULL);
		drop_sockets(a, false);
		drop_connections(a);
		n = fill_wait(a);
		/* Who waits at a listener that takes nobody would wake us again and again. */
		patience = a->is_short ? SHORT_MS : -1;
		a->is_short = false;
		if (poll(a->wait, 1 + n + AGENTS_CONNECTIONS_MAX, patience) >= 0)
			serve_all(a, n);
	}
	drop_sockets(a, true);
	return NULL;
}
