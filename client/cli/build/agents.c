#include "client/cli/build/agents.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { PIECE = 64 * 1024 };

static int send_data(struct build_agents *a, uint32_t number, struct bytes data, bool end)
{
	Imaged__V1__BuildRequest m = IMAGED__V1__BUILD_REQUEST__INIT;
	Imaged__V1__AgentData agent = IMAGED__V1__AGENT_DATA__INIT;

	agent.connection = number;
	agent.data = (ProtobufCBinaryData){ data.len, (uint8_t *)data.data };
	agent.end = end;
	m.request_case = IMAGED__V1__BUILD_REQUEST__REQUEST_AGENT;
	m.agent = &agent;
	return a->send(a->stream, &m, NULL);
}

/* ---- connections, under mu ------------------------------------------------------------------------ */

static struct agent_connection *find(struct build_agents *a, uint32_t number)
{
	for (size_t i = 0; i < AGENT_CONNECTIONS_MAX; i++)
		if (a->connections[i].fd >= 0 && a->connections[i].number == number)
			return &a->connections[i];
	return NULL;
}

static void drop(struct agent_connection *c)
{
	close(take_fd(&c->fd));
	buf_free(&c->unsent);
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	CLEANUP(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof address.sun_path)
		return -1;
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -1;
	return take_fd(&fd);
}

static const char *socket_of(const struct build_agents *a, const char *id)
{
	for (size_t i = 0; i < a->n; i++)
		if (!strcmp(a->items[i].id, *id ? id : "default"))
			return a->items[i].socket;
	return NULL;
}

/* NULL: the agent is not there, or there are too many connections. */
static struct agent_connection *open_connection(struct build_agents *a, uint32_t number, const char *socket)
{
	for (size_t i = 0; i < AGENT_CONNECTIONS_MAX; i++) {
		struct agent_connection *c = &a->connections[i];

		if (c->fd >= 0)
			continue;
		*c = (struct agent_connection){
			.number = number,
			.fd = connect_to(socket),
			.unsent = BUF_INIT(AGENT_UNSENT_MAX),
		};
		return c->fd >= 0 ? c : NULL;
	}
	return NULL;
}

/* False: the connection is over. */
static bool send_unsent(struct agent_connection *c)
{
	while (c->unsent.len) {
		ssize_t n = send(c->fd, c->unsent.data, c->unsent.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		memmove(c->unsent.data, c->unsent.data + n, c->unsent.len - (size_t)n);
		c->unsent.len -= (size_t)n;
	}
	return !c->ending || shutdown(c->fd, SHUT_WR) == 0;
}

/* ---- the thread ------------------------------------------------------------------------------------- */

static size_t poll_set(struct build_agents *a, struct pollfd fds[AGENT_CONNECTIONS_MAX + 1], bool *ret_over)
{
	size_t n = 0;

	fds[n++] = (struct pollfd){ .fd = a->wake, .events = POLLIN };
	pthread_mutex_lock(&a->mu);
	for (size_t i = 0; i < AGENT_CONNECTIONS_MAX; i++)
		fds[n++] = (struct pollfd){
			.fd = a->connections[i].fd,
			.events = (short)(POLLIN | (a->connections[i].unsent.len ? POLLOUT : 0)),
		};
	*ret_over = a->over;
	pthread_mutex_unlock(&a->mu);
	return n;
}

/* What the agent said; the end of it ends the connection. */
static void read_answer(struct build_agents *a, struct agent_connection *c, uint8_t piece[PIECE])
{
	uint32_t number;
	ssize_t n;

	pthread_mutex_lock(&a->mu);
	number = c->number;
	n = c->fd >= 0 ? recv(c->fd, piece, PIECE, MSG_DONTWAIT) : -1;
	if (c->fd < 0 || (n < 0 && (errno == EAGAIN || errno == EINTR))) {
		pthread_mutex_unlock(&a->mu);
		return;
	}
	if (n <= 0)
		drop(c);
	pthread_mutex_unlock(&a->mu);
	send_data(a, number, (struct bytes){ piece, n > 0 ? (size_t)n : 0 }, n <= 0);
}

static void write_more(struct build_agents *a, struct agent_connection *c)
{
	pthread_mutex_lock(&a->mu);
	if (c->fd >= 0)
		send_unsent(c);
	pthread_mutex_unlock(&a->mu);
}

static void serve(struct build_agents *a, const struct pollfd *fds, uint8_t piece[PIECE])
{
	eventfd_t ignored;

	if (fds[0].revents)
		eventfd_read(a->wake, &ignored);
	for (size_t i = 0; i < AGENT_CONNECTIONS_MAX; i++) {
		if (fds[i + 1].revents & POLLOUT)
			write_more(a, &a->connections[i]);
		if (fds[i + 1].revents & (POLLIN | POLLHUP | POLLERR))
			read_answer(a, &a->connections[i], piece);
	}
}

static void *run(void *agents)
{
	struct build_agents *a = agents;
	CLEANUP(freep) uint8_t *piece = malloc(PIECE);
	struct pollfd fds[AGENT_CONNECTIONS_MAX + 1];
	bool over = !piece;

	while (!over) {
		size_t n = poll_set(a, fds, &over);

		if (!over && poll(fds, n, -1) > 0)
			serve(a, fds, piece);
	}
	return NULL;
}

int build_agents_start(struct build_agents *a, struct err *err)
{
	for (size_t i = 0; i < AGENT_CONNECTIONS_MAX; i++)
		a->connections[i].fd = -1;
	if (!a->n)
		return OK;
	a->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->wake < 0)
		return fail_errno(err, "make an eventfd");
	pthread_mutex_init(&a->mu, NULL);
	errno = pthread_create(&a->thread, NULL, run, a);
	a->running = !errno;
	if (a->running)
		return OK;
	close(a->wake);
	return fail_errno(err, "start a thread");
}

/* ---- what comes --------------------------------------------------------------------------------------- */

/* Under mu. False: the connection could not be made, or is over. */
static bool take_data(struct build_agents *a, const Imaged__V1__AgentData *m, const char *socket)
{
	struct agent_connection *c = find(a, m->connection);

	if (!c && m->end)
		return true; /* both sides have ended it */
	if (!c)
		c = open_connection(a, m->connection, socket);
	if (!c)
		return false;
	c->ending |= m->end;
	if (buf_append(&c->unsent, m->data.data, m->data.len) && send_unsent(c))
		return true;
	drop(c);
	return false;
}

int build_agents_take(struct build_agents *a, const Imaged__V1__BuildEvent *event, bool *ret_taken, struct err *err)
{
	const Imaged__V1__AgentData *m = event->agent;
	const char *socket;
	bool alive;

	*ret_taken = event->event_case == IMAGED__V1__BUILD_EVENT__EVENT_AGENT;
	if (!*ret_taken)
		return OK;
	socket = a->running ? socket_of(a, m->ssh_id) : NULL;
	if (!socket && *m->ssh_id)
		return fail(err, E_INTERNAL, "the service asks for the SSH agent \"%.128s\", which was not offered",
			    m->ssh_id);
	if (!a->running)
		return fail(err, E_INTERNAL, "the service asks for an SSH agent, and none was offered");
	pthread_mutex_lock(&a->mu);
	alive = take_data(a, m, socket ? socket : "");
	pthread_mutex_unlock(&a->mu);
	eventfd_write(a->wake, 1);
	if (!alive)
		send_data(a, m->connection, (struct bytes){ 0 }, true);
	return OK;
}

void build_agents_end(struct build_agents *a)
{
	if (!a->running)
		return;
	pthread_mutex_lock(&a->mu);
	a->over = true;
	pthread_mutex_unlock(&a->mu);
	eventfd_write(a->wake, 1);
	pthread_join(a->thread, NULL);
	for (size_t i = 0; i < AGENT_CONNECTIONS_MAX; i++)
		if (a->connections[i].fd >= 0)
			drop(&a->connections[i]);
	close(a->wake);
	pthread_mutex_destroy(&a->mu);
	a->running = false;
}
