/*
 * How inspected objects are printed: indented JSON, compact JSON, or a template
 * that tries the client's struct first and the raw JSON then (docker-cli.md 1.9).
 * Nothing is printed before inspector_finish().
 */
#ifndef CLIENT_CLI_COMMANDS_INSPECTOR_H
#define CLIENT_CLI_COMMANDS_INSPECTOR_H

#include "client/cli/template/template.h"
#include "imaged/v1/image.pb-c.h"

struct inspector {
	struct template *t; /* NULL: JSON */
	bool compact;
	bool missing_key_error; /* stays on once the raw JSON was needed */
	size_t n;		/* objects */
	char *root;		/* of the service; owned; set before an image with files is added */
	struct buf text;
};

/* E_TEMPLATE "template parsing error: …"; format may be NULL or "". */
int inspector_open(struct inspector *i, const char *format, struct err *err);
int inspector_add(struct inspector *i, const Imaged__V1__InspectImageResponse *image, struct err *err);
int inspector_finish(struct inspector *i, struct buf *out, struct err *err);
void inspector_free(struct inspector *i);

#endif
