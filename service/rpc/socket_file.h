/*
 * A listening unix socket and its file: made without stealing the path of a live
 * server, removed only while it is still ours.
 */
#ifndef SERVICE_RPC_SOCKET_FILE_H
#define SERVICE_RPC_SOCKET_FILE_H

#include <sys/stat.h>
#include <sys/un.h>

#include "proto/runtime/mem.h"

struct socket_file {
	int fd;
	char path[sizeof((struct sockaddr_un *)0)->sun_path + 1];
	bool ours; /* made by us: removed at close */
	dev_t dev;
	ino_t ino;
};

/* See unix_listener_bind(). Holds a lock on the directory meanwhile. */
int socket_file_bind(const char *path, int backlog, struct socket_file *ret_file, struct err *err);

/* Takes over a descriptor that must be a listening unix stream socket; leaves it
 * alone otherwise. */
int socket_file_adopt(int fd, struct socket_file *ret_file, struct err *err);

void socket_file_close(struct socket_file *f);

#endif
