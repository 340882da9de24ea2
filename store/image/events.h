/*
 * The event log (DESIGN.md 11.4): bounded, persisted, numbered by the revision of
 * the shared space. Events are written in the transaction of their change.
 */
#ifndef STORE_IMAGE_EVENTS_H
#define STORE_IMAGE_EVENTS_H

#include "proto/runtime/cancel.h"
#include "store/image/image.h"

enum { EVENTS_KEPT = 4096 };

uint64_t events_revision(struct store *s);

/* Visits the events after `revision`. E_OUT_OF_RANGE when some of them are gone.
 * *ret_last: the revision to go on from. */
int events_read(struct store *s, uint64_t revision,
		int (*visit)(void *arg, uint64_t revision, const Imaged__Store__V1__EventRecord *event), void *arg,
		uint64_t *ret_last, struct err *err);

/* Waits until there is an event after `revision`; false when cancelled first. */
bool events_wait(struct store *s, uint64_t revision, struct cancel *cancel);

#endif
