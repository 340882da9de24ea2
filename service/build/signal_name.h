/* Linux's signals by name ("SIGTERM", "term", "RTMIN+3") or number. Pure. */
#ifndef SERVICE_BUILD_SIGNAL_NAME_H
#define SERVICE_BUILD_SIGNAL_NAME_H

#include "proto/runtime/err.h"

/* E_INVALID "invalid signal: X". */
int signal_name_check(const char *text, struct err *err);

#endif
