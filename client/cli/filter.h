/*
 * --filter KEY=VALUE, checked and turned into the API's ImageFilter
 * (docker-cli.md 1.10). Errors have the words that docker's engine uses, and are
 * shown as its own.
 */
#ifndef CLIENT_CLI_FILTER_H
#define CLIENT_CLI_FILTER_H

#include "client/cli/flags.h"
#include "imaged/v1/common.pb-c.h"

enum filter_command { FILTER_IMAGES, FILTER_PRUNE };

struct image_filter {
	Imaged__V1__ImageFilter message; /* points into what follows */
	Google__Protobuf__Timestamp until;
	char **strings; /* owned, all of them */
	size_t n_strings;
	char **references, **labels, **without_labels; /* borrow from strings */
};

/* `all` is prune's -a. E_INVALID_FILTER, E_INVALID. Free in any case. */
int image_filter_parse(const struct strings *filters, enum filter_command command, int64_t now_ns,
		       struct image_filter *ret_filter, struct err *err);
/* As it was typed. */
int image_filter_add_reference(struct image_filter *f, const char *pattern, struct err *err);
void image_filter_free(struct image_filter *f);

#endif
