/* Paths for the daemon, whose working directory is another one. */
#ifndef CLIENT_CLI_PATH_H
#define CLIENT_CLI_PATH_H

/* free() it; NULL with errno. What is absolute stays as it was typed. */
char *absolute_path(const char *path);

#endif
