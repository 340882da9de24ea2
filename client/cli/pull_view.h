/*
 * The events of a pull as docker's lines (docker-cli.md 12). Without docker's
 * separate download and extraction, the states of a layer read: Pulling fs layer,
 * Downloading, Verifying Checksum, Download complete, Pull complete.
 */
#ifndef CLIENT_CLI_PULL_VIEW_H
#define CLIENT_CLI_PULL_VIEW_H

#include "client/cli/progress.h"
#include "imaged/v1/transfer.pb-c.h"
#include "store/types/reference.h"

struct layer_line {
	char *digest;
	int state; /* Imaged__V1__LayerProgress__State shown last; 0: none */
	bool downloaded;
	bool held_back; /* it exists; said only when the image was not here */
};

struct pull_view {
	const struct reference *ref; /* with all_tags the name of the repository */
	bool all_tags, quiet;
	bool json;    /* events go another way (progress_mode.h) */
	bool started; /* "TAG: Pulling from PATH" is printed; with all_tags, of the current one */
	bool spoken;  /* of any */
	bool newer;   /* all_tags: one was not up to date */
	struct progress progress;
	struct layer_line *layers;
	size_t n_layers;
};

/* The line that comes first; also before some errors. */
void pull_view_start(struct pull_view *v);
int pull_view_event(struct pull_view *v, const Imaged__V1__PullEvent *event, struct err *err);
/* all_tags: what comes behind all of them. */
void pull_view_end(struct pull_view *v);
void pull_view_free(struct pull_view *v);

#endif
