/*
 * `images --tree`: names, the index or manifest that they stand for, its platforms, their
 * layers, and what is shared. Images are asked for page by page and forgotten once they are
 * shown; what stays is a count for each layer and a size for each image.
 */
#ifndef CLIENT_CLI_COMMANDS_IMAGES_TREE_H
#define CLIENT_CLI_COMMANDS_IMAGES_TREE_H

#include "client/cli/cli.h"
#include "imaged/v1/common.pb-c.h"

/* `all`: as ListImagesRequest has it; `json`: an object for each image in place of lines. Prints
 * what it can until it fails. */
int images_tree(struct cli *cli, Imaged__V1__ImageFilter *filter, bool all, bool json, struct err *err);

#endif
