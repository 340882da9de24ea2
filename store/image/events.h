/*
 * The event log (DESIGN.md 11.4): bounded, persisted, numbered by the revision of
 * the shared space. Events are written in the transaction of their change.
 */
#ifndef STORE_IMAGE_EVENTS_H
#define STORE_IMAGE_EVENTS_H

#include "proto/runtime/cancel.h"
#include "store/image/image.h"

enum { EVENTS_KEPT = 4096 };

enum event_action { /* as imaged.v1.Event.Action */
		    EVENT_PULL = 1,
		    EVENT_TAG = 2,
		    EVENT_UNTAG = 3,
		    EVENT_DELETE = 4,
		    EVENT_REPAIR = 5,
		    EVENT_LOAD = 6,
		    EVENT_IMPORT = 7,
		    EVENT_PUSH = 8,
		    EVENT_BUILD = 9,
};

uint64_t events_revision(struct store *s);

/* An event that belongs to no other change: a repair. */
int event_write(struct store *s, enum event_action action, const struct digest *config, const char *name,
		const struct digest *digest, int64_t now_ns, struct err *err);

/* Visits the events after `revision`. E_OUT_OF_RANGE when some of them are gone, or
 * when the revision is one that this store has not reached. *ret_last: the revision
 * to go on from, also after a failure. The visitor may take its time; a negative
 * code of it ends the call and is returned, with what it has said in the caller's err. */
int events_read(struct store *s, uint64_t revision,
		int (*visit)(void *arg, uint64_t revision, const Imaged__Store__V1__EventRecord *event), void *arg,
		uint64_t *ret_last, struct err *err);

/* Waits until there is an event after `revision`; false when cancelled first. */
bool events_wait(struct store *s, uint64_t revision, struct cancel *cancel);

#endif
