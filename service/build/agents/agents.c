#include "service/build/agents/agents.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "service/build/agents/agents_internal.h"

enum { NAME_BYTES = 32, BACKLOG = 64 };

void agents_wake(struct build_agents *a)
{
	eventfd_write(a->wake, 1);
}

/* ---- life ------------------------------------------------------------------------- */

static void free_parts(struct build_agents *a)
{
	for (size_t i = 0; i < a->n_ids; i++)
		free(a->ids[i]);
	free(a->ids);
	closep(&a->wake);
	free(a);
}

static int copy_ids(struct build_agents *a, char *const *ids, size_t n, struct err *err)
{
	a->ids = calloc(n ? n : 1, sizeof *a->ids);
	if (!a->ids)
		return fail_nomem(err);
	for (; a->n_ids < n; a->n_ids++) {
		a->ids[a->n_ids] = strdup(ids[a->n_ids]);
		if (!a->ids[a->n_ids])
			return fail_nomem(err);
	}
	return OK;
}

static int start(struct build_agents *a, struct err *err)
{
	int number;

	a->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->wake < 0)
		return fail_errno(err, "create an eventfd");
	number = pthread_mutex_init(&a->lock, NULL);
	if (number)
		return fail(err, E_NO_MEMORY, "make a lock: %s", strerrordesc_np(number));
	number = pthread_create(&a->thread, NULL, relay_run, a);
	if (!number)
		return OK;
	pthread_mutex_destroy(&a->lock);
	return fail(err, E_NO_MEMORY, "start a thread for SSH agents: %s", strerrordesc_np(number));
}

int build_agents_new(char *const *ids, size_t n_ids, const struct agents_sink *sink, struct build_agents **ret_agents,
		     struct err *err)
{
	struct build_agents *a = calloc(1, sizeof *a);
	int rc;

	if (!a)
		return fail_nomem(err);
	a->sink = *sink;
	a->wake = -1;
	rc = copy_ids(a, ids, n_ids, err);
	if (rc == OK)
		rc = start(a, err);
	if (rc == OK)
		*ret_agents = a;
	else
		free_parts(a);
	return rc;
}

void build_agents_free(struct build_agents *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->is_stopping = true;
	pthread_mutex_unlock(&a->lock);
	agents_wake(a);
	pthread_join(a->thread, NULL);
	pthread_mutex_destroy(&a->lock);
	free_parts(a);
}

void build_agents_freep(struct build_agents **a)
{
	build_agents_free(*a);
	*a = NULL;
}

/* ---- the client ---------------------------------------------------------------------- */

static const char *find_id(const struct build_agents *a, const char *id)
{
	for (size_t i = 0; a && i < a->n_ids; i++)
		if (!strcmp(a->ids[i], id))
			return a->ids[i];
	return NULL;
}

bool build_agents_has(const struct build_agents *a, const char *id)
{
	return find_id(a, id) != NULL;
}

/* What has been written makes room first. */
static void add_out(struct connection *c, struct bytes data)
{
	if (c->written) {
		memmove(c->out.data, c->out.data + c->written, c->out.len - c->written);
		c->out.len -= c->written;
		c->written = 0;
	}
	if (!buf_append(&c->out, data.data, data.len)) {
		c->is_over = true;
		buf_reset(&c->out);
	}
}

void build_agents_take(struct build_agents *a, const Imaged__V1__AgentData *message)
{
	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; message->connection && i < AGENTS_CONNECTIONS_MAX; i++) {
		struct connection *c = &a->connections[i];

		if (c->number != message->connection || c->is_over)
			continue;
		if (message->data.len)
			add_out(c, (struct bytes){ message->data.data, message->data.len });
		c->is_over |= message->end;
	}
	pthread_mutex_unlock(&a->lock);
	agents_wake(a);
}

/* ---- sockets ------------------------------------------------------------------------------ */

static void free_socket(struct agent_socket *s)
{
	closep(&s->listener);
	closep(&s->path);
	free(s);
}

static int set_owner(int directory, const char *name, const struct agent_socket_options *o, struct err *err)
{
	if (fchmodat(directory, name, o->mode & 07777, 0) < 0)
		return fail_errno(err, "set the mode of the socket of an SSH agent");
	if (!o->uid && !o->gid && geteuid())
		return OK; /* the daemon's user is the root of its steps */
	if (!fchownat(directory, name, o->uid, o->gid, AT_SYMLINK_NOFOLLOW))
		return OK;
	return fail(err, E_UNSUPPORTED, "the socket of an SSH agent cannot belong to %u:%u: %s", o->uid, o->gid,
		    errno == EPERM ? "this daemon runs without root" : strerrordesc_np(errno));
}

/* By way of /proc: a path of the directory could be longer than the address of a socket. */
static int bind_in(int directory, const char *name, int listener, struct err *err)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int n = snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/%s", directory, name);

	if (n < 0 || (size_t)n >= sizeof at.sun_path)
		return fail(err, E_INTERNAL, "the socket of an SSH agent has a name that is too long");
	if (bind(listener, (const struct sockaddr *)&at, sizeof at) < 0 || listen(listener, BACKLOG) < 0)
		return fail_errno(err, "make the socket of an SSH agent");
	return OK;
}

static int make_socket(struct agent_socket *s, const struct agent_socket_options *o, const char *name, struct err *err)
{
	int rc;

	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listener < 0)
		return fail_errno(err, "make the socket of an SSH agent");
	rc = bind_in(o->directory, name, s->listener, err);
	if (rc == OK)
		rc = set_owner(o->directory, name, o, err);
	if (rc != OK)
		return rc;
	s->path = openat(o->directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return s->path < 0 ? fail_errno(err, "open the socket of an SSH agent") : OK;
}

static int add_socket(struct build_agents *a, struct agent_socket *s, struct err *err)
{
	int rc = OK;

	pthread_mutex_lock(&a->lock);
	if (a->n_sockets == AGENTS_SOCKETS_MAX)
		rc = fail(err, E_LIMIT, "more than %d SSH mounts at a time", AGENTS_SOCKETS_MAX);
	else
		a->sockets[a->n_sockets++] = s;
	pthread_mutex_unlock(&a->lock);
	return rc;
}

static void next_name(struct build_agents *a, char out[NAME_BYTES])
{
	pthread_mutex_lock(&a->lock);
	snprintf(out, NAME_BYTES, "agent-%u", a->n_names++);
	pthread_mutex_unlock(&a->lock);
}

int agent_socket_open(struct build_agents *a, const struct agent_socket_options *options,
		      struct agent_socket **ret_socket, struct err *err)
{
	const char *id = find_id(a, options->id);
	struct agent_socket *s;
	char name[NAME_BYTES];
	int rc;

	if (!id)
		return fail(err, E_NOT_FOUND, "no SSH key \"%.256s\" forwarded from the client", options->id);
	s = calloc(1, sizeof *s);
	if (!s)
		return fail_nomem(err);
	*s = (struct agent_socket){ .agents = a, .id = id, .listener = -1, .path = -1 };
	next_name(a, name);
	rc = make_socket(s, options, name, err);
	if (rc == OK)
		rc = add_socket(a, s, err);
	if (rc != OK) {
		free_socket(s);
		return rc;
	}
	agents_wake(a);
	*ret_socket = s;
	return OK;
}

int agent_socket_fd(const struct agent_socket *s)
{
	return s->path;
}

/* The thread may be at it: it frees what is closed. */
void agent_socket_close(struct agent_socket *s)
{
	struct build_agents *a = s ? s->agents : NULL;

	if (!s)
		return;
	pthread_mutex_lock(&a->lock);
	s->is_closed = true;
	pthread_mutex_unlock(&a->lock);
	agents_wake(a);
}
