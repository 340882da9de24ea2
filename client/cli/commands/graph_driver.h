/*
 * GraphDriver of an inspected image (docker-cli.md 4): the files that a mount of it is made
 * of, where docker's overlay2 has its directories.
 */
#ifndef CLIENT_CLI_COMMANDS_GRAPH_DRIVER_H
#define CLIENT_CLI_COMMANDS_GRAPH_DRIVER_H

#include "client/cli/value/value.h"
#include "imaged/v1/image.pb-c.h"

/* Whether each layer has its image, and there are some. */
bool graph_driver_has_files(const Imaged__V1__InspectImageResponse *r);

/* `root`: of the service; looked at only when there are files. Data is null when there are
 * none. VALUE_NONE when the arena is full. */
struct value graph_driver_value(struct arena *a, const Imaged__V1__InspectImageResponse *r, const char *root);

#endif
