/*
 * What a build tells (imaged.v1.BuildEvent), as a user sees it: BuildKit's displays
 * (docker-cli.md 18.3). Of a build that goes on, and of one on record.
 *
 *	PLAIN	lines with the numbers of steps, in the order in which steps are printed first
 *	TTY	a table that is drawn over and over, with the last lines of what runs
 *	RAWJSON	an object a line, for programs that know BuildKit
 *	JSON	an event a line (message_json.h), for all others
 *	QUIET	nothing
 *
 * A pure state machine over events and a clock: it writes only through `write`. What comes
 * within a tenth of a second is shown together: call build_progress_tick() as often.
 *
 * One thread. Failure: E_NO_MEMORY, E_LIMIT for a build with more steps than can be shown.
 */
#ifndef CLIENT_CLI_BUILD_PROGRESS_H
#define CLIENT_CLI_BUILD_PROGRESS_H

#include "imaged/v1/build.pb-c.h"
#include "proto/runtime/buf.h"

enum build_progress_mode {
	BUILD_PROGRESS_PLAIN,
	BUILD_PROGRESS_TTY,
	BUILD_PROGRESS_RAWJSON,
	BUILD_PROGRESS_JSON,
	BUILD_PROGRESS_QUIET,
};

enum { BUILD_PROGRESS_TICK_MS = 100 };

struct build_progress_options {
	enum build_progress_mode mode;
	const char *title;  /* PLAIN: of the line "#0 TITLE"; NULL: no such line */
	const char *driver; /* TTY: at the right of the first line */
	const char *expand; /* how to see more of warnings: "use … to expand"; NULL: they are shown whole */
	int width, height;  /* of the terminal */
	bool colours;
	bool is_terminal; /* what steps wrote says nothing to it but colours */
	void (*write)(void *arg, const void *data, size_t len);
	void *arg;
};

struct build_progress;

/* The strings must outlive it. */
int build_progress_new(const struct build_progress_options *options, struct build_progress **ret_progress,
		       struct err *err);
void build_progress_free(struct build_progress *p); /* NULL is fine */
void build_progress_freep(struct build_progress **p);

/* Events that are no progress are passed over. `now_ns`: the time here, since 1970. */
int build_progress_event(struct build_progress *p, const Imaged__V1__BuildEvent *event, int64_t now_ns,
			 struct err *err);
void build_progress_tick(struct build_progress *p, int64_t now_ns);
void build_progress_resize(struct build_progress *p, int width, int height);
/* Something else is going to be written: the table stays as it is, and the next is drawn below. */
void build_progress_break(struct build_progress *p, int64_t now_ns);

/* The last state, what failed with its last lines, the warnings, the place of the failure in the
 * Dockerfile. `canceled`: what still runs does no more. */
void build_progress_end(struct build_progress *p, bool canceled, int64_t now_ns);

#endif
