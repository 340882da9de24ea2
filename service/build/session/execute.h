/*
 * The work of a Build call, from the Dockerfile to what the client is told at its end.
 * Inside of this folder.
 */
#ifndef SERVICE_BUILD_SESSION_EXECUTE_H
#define SERVICE_BUILD_SESSION_EXECUTE_H

#include "service/build/session/session.h"

/* `done`: its strings are in the session's arena. */
int session_execute(struct session *s, Imaged__V1__BuildDone *done, struct err *err);

#endif
