/*
 * The events of a push as docker's lines (docker-cli.md 13): a layer is called by the
 * first digits of its diff ID.
 */
#ifndef CLIENT_CLI_PUSH_VIEW_H
#define CLIENT_CLI_PUSH_VIEW_H

#include "client/cli/progress.h"
#include "imaged/v1/transfer.pb-c.h"
#include "store/types/reference.h"

struct push_layer_line {
	char *digest, *shown;
	int state; /* Imaged__V1__PushProgress__State shown last; 0: none */
};

struct push_view {
	const struct reference *ref;
	bool quiet;
	bool json;    /* events go another way (progress_mode.h) */
	bool started; /* "The push refers to repository" is printed */
	struct progress progress;
	struct push_layer_line *layers;
	size_t n_layers;
};

/* The line that comes first; also before most errors. */
void push_view_start(struct push_view *v);
int push_view_event(struct push_view *v, const Imaged__V1__PushEvent *event, struct err *err);
void push_view_free(struct push_view *v);

#endif
