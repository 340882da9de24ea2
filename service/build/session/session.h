/*
 * One Build call. Inside of this folder.
 *
 *   the call's thread    build.c: contexts, front end, bases, solve, result
 *   one that receives    receive.c: bytes of contexts, agents, the shell
 *   one for each base    base_image.c, and one that asks for the context's files ahead
 *
 * What is said to the client goes through session_send(), from any of them.
 */
#ifndef SERVICE_BUILD_SESSION_SESSION_H
#define SERVICE_BUILD_SESSION_SESSION_H

#include <pthread.h>

#include "service/build/agents/agents.h"
#include "service/build/session/build_request.h"
#include "service/build/session/progress.h"
#include "service/build/session/session_context.h"
#include "service/image/image_service.h"
#include "store/cache/build_log.h"

struct session {
	struct image_service *service;
	struct rpc_call *call;
	struct cancel
		*cancel; /* fires with the call's, at the daemon's end, and when the client says what it must not */
	struct cancel_hook hook, drain_hook;
	struct arena arena; /* of the call's thread */
	Imaged__V1__BuildStart *start;
	int64_t started_ns;

	pthread_mutex_t send_mu;

	struct session_context *contexts; /* the main one first, if there is one */
	size_t n_contexts;
	bool ignore_told;

	pthread_t receiver;
	bool receiving;
	struct err received; /* why the receiving thread has ended the build; read after it was joined */

	struct build_log *log; /* NULL: it could not be written */
	Imaged__Store__V1__BuildRecord record;
	struct progress *progress;
	struct build_agents *agents; /* NULL: the client forwards none */

	pthread_mutex_t shell_mu;
	struct run_terminal *terminal; /* while there is a shell; under shell_mu */
	bool input_is_over;	       /* nothing will be typed into one any more; likewise */
};

int session_send(void *session, const Imaged__V1__BuildEvent *event, struct err *err);

/* receive.c: from now on messages are taken, until the end. */
int session_receive(struct session *s, struct err *err);
/* Ends the thread. Fine when there is none. */
void session_receive_end(struct session *s);

/* The context of this name; NULL: there is none. */
struct session_context *session_context_named(struct session *s, const char *name);

#endif
