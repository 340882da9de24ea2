/*
 * imaged-run: one RUN step of a build, or the layer of one. Started by imaged, with a socket
 * at RUN_SOCKET_FD and nothing else; see run.h and protocol.h.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "proto/runtime/mem.h"
#include "service/build/run/protocol.h"
#include "service/build/run/worker/descriptors.h"
#include "service/build/run/worker/supervise.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_NOT_BY_HAND = 64 };

static bool is_our_socket(int fd)
{
	int domain = 0, type = 0;
	socklen_t len = sizeof domain;

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) && domain == AF_UNIX &&
	       !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_SEQPACKET;
}

int main(void)
{
	struct err err = ERR_INIT;

	if (!is_our_socket(RUN_SOCKET_FD)) {
		fprintf(stderr, "imaged-run %s: this program is started by imaged and does nothing by hand\n",
			IMAGED_VERSION);
		return EXIT_NOT_BY_HAND;
	}
	/* The end of the daemon is the end of its socket; no signal may come before that is seen. */
	signal(SIGPIPE, SIG_IGN);
	umask(022); /* the step's too, whatever the daemon's is */
	/* There are secrets in it. Without root, the ids of its namespace could not be written then. */
	if (geteuid() == 0)
		prctl(PR_SET_DUMPABLE, 0);
	descriptors_raise();
	return supervise(RUN_SOCKET_FD, &err) == OK ? EXIT_DONE : EXIT_FAILED;
}
