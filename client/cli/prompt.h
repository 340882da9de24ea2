/* Questions to the user, on stdout, answered by one line of stdin. */
#ifndef CLIENT_CLI_PROMPT_H
#define CLIENT_CLI_PROMPT_H

#include "proto/runtime/buf.h"

/* "MESSAGE\nAre you sure you want to continue? [y/N] "; only y and Y mean yes. */
bool prompt_confirm(const char *message);
/* The line, without its end. E_CANCELLED at the end of the input. */
int prompt_line(const char *question, bool echo, struct buf *out, struct err *err);
bool prompt_is_possible(void); /* stdin is a terminal */

#endif
