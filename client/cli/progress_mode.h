/*
 * --progress of commands whose work is a stream of events: as docker shows it on a terminal
 * or in a pipe (auto), always as in a pipe (plain), or for programs (json): each event an
 * object on a line of its own, see message_json.h. There the last line of one that fails is
 * {"event":"error","reason":"NO_SUCH_IMAGE","message":"…"}, and nothing else is printed.
 */
#ifndef CLIENT_CLI_PROGRESS_MODE_H
#define CLIENT_CLI_PROGRESS_MODE_H

#include "client/cli/cli.h"
#include "client/cli/message_json.h"
#include "client/cli/progress.h"

enum progress_mode { PROGRESS_AUTO, PROGRESS_PLAIN, PROGRESS_JSON };

#define PROGRESS_HELP "Set type of progress output (\"auto\", \"plain\", \"json\")"

/* `text`: as the flag says, NULL without it. E_INVALID: an unknown one; json and quiet. */
int progress_mode_parse(const char *text, bool quiet, enum progress_mode *ret_mode, struct err *err);

/* Progress on standard output, for all modes but json. */
void progress_begin(struct progress *p, enum progress_mode mode);

typedef void progress_write(const void *data, size_t len);

void progress_stderr(const void *data, size_t len);

int progress_json_event(progress_write *write, const ProtobufCMessage *event, struct err *err);
/* The exit status. */
int progress_json_error(progress_write *write, const struct err *why);

#endif
