/*
 * agents_relay DIRECTORY ID...  forwards SSH agents as a build does; its client is whoever started it.
 *
 * What goes to the client is a line on standard output: CONNECTION ID|- HEX|- END. Lines of standard
 * input are of the client, or of a step:
 *
 *   data CONNECTION HEX|- END
 *   open ID MODE UID     says "socket N", or "failed REASON TEXT"
 *   close N
 *   break                sending fails from now on
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "proto/runtime/mem.h"
#include "service/build/agents/agents.h"

enum { LINE_MAX_BYTES = 4 << 20, SOCKETS = 64, EXIT_USAGE = 2, RADIX = 16 };

static pthread_mutex_t out_lock = PTHREAD_MUTEX_INITIALIZER;
static bool broken; /* under it */

/* ---- to the client ----------------------------------------------------------------- */

static int send_line(void *arg, const Imaged__V1__AgentData *m, struct err *err)
{
	(void)arg;
	pthread_mutex_lock(&out_lock);
	if (broken) {
		pthread_mutex_unlock(&out_lock);
		return fail(err, E_CANCELLED, "the call is over");
	}
	printf("%" PRIu32 " %s ", m->connection, m->ssh_id[0] ? m->ssh_id : "-");
	for (size_t i = 0; i < m->data.len; i++)
		printf("%02x", m->data.data[i]);
	printf("%s %d\n", m->data.len ? "" : "-", m->end);
	fflush(stdout);
	pthread_mutex_unlock(&out_lock);
	return OK;
}

/* ---- from the client ---------------------------------------------------------------- */

static size_t unhex(const char *text, uint8_t *out)
{
	size_t n = 0;

	for (; text[0] && text[1]; text += 2)
		out[n++] = (uint8_t)strtoul((const char[]){ text[0], text[1], 0 }, NULL, RADIX);
	return n;
}

static void take(struct build_agents *a, const char *connection, const char *hex, const char *end)
{
	Imaged__V1__AgentData m = IMAGED__V1__AGENT_DATA__INIT;
	CLEANUP(freep) uint8_t *data = malloc(strlen(hex) + 1);

	if (!data)
		abort();
	m.connection = (uint32_t)strtoul(connection, NULL, 10);
	m.data = (ProtobufCBinaryData){ unhex(hex, data), data };
	m.end = end[0] == '1';
	build_agents_take(a, &m);
}

/* ---- of a step --------------------------------------------------------------------------- */

static struct agent_socket *sockets[SOCKETS];

static void open_one(struct build_agents *a, int directory, const char *id, const char *mode, const char *uid)
{
	static size_t n;
	const struct agent_socket_options options = { .id = id,
						      .directory = directory,
						      .mode = (uint32_t)strtoul(mode, NULL, 8),
						      .uid = (uint32_t)strtoul(uid, NULL, 10) };
	struct err err = ERR_INIT;
	int rc = n == SOCKETS ? fail(&err, E_LIMIT, "too many") : agent_socket_open(a, &options, &sockets[n], &err);

	pthread_mutex_lock(&out_lock);
	if (rc == OK)
		printf("socket %zu\n", n++);
	else
		printf("failed %s %s\n", err_reason(err.code), err.text);
	fflush(stdout);
	pthread_mutex_unlock(&out_lock);
}

static void close_one(const char *number)
{
	size_t n = strtoul(number, NULL, 10);

	if (n < SOCKETS) {
		agent_socket_close(sockets[n]);
		sockets[n] = NULL;
	}
}

static void break_off(void)
{
	pthread_mutex_lock(&out_lock);
	broken = true;
	pthread_mutex_unlock(&out_lock);
}

static void obey(struct build_agents *a, int directory, char *line)
{
	const char *word[4] = { "", "", "", "" };
	char *rest = line;

	line[strcspn(line, "\n")] = 0;
	for (size_t i = 0; i < ARRAY_LEN(word) && rest; i++)
		word[i] = strsep(&rest, " ");
	if (!strcmp(word[0], "data"))
		take(a, word[1], word[2], word[3]);
	else if (!strcmp(word[0], "open"))
		open_one(a, directory, word[1], word[2], word[3]);
	else if (!strcmp(word[0], "close"))
		close_one(word[1]);
	else if (!strcmp(word[0], "break"))
		break_off();
}

int main(int argc, char **argv)
{
	const struct agents_sink sink = { send_line, NULL };
	CLEANUP(freep) char *line = malloc(LINE_MAX_BYTES);
	CLEANUP(closep) int directory = argc > 1 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	struct build_agents *a;
	struct err err = ERR_INIT;

	signal(SIGPIPE, SIG_IGN);
	if (!line || directory < 0 || build_agents_new(argv + 2, (size_t)argc - 2, &sink, &a, &err) != OK)
		return EXIT_USAGE;
	while (fgets(line, LINE_MAX_BYTES, stdin))
		obey(a, directory, line);
	for (size_t i = 0; i < SOCKETS; i++)
		agent_socket_close(sockets[i]);
	build_agents_free(a);
	return 0;
}
