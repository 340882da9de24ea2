/*
 * Tells the service manager how the daemon is (sd_notify protocol): a datagram to
 * $NOTIFY_SOCKET. Without that variable nothing happens. The variable is removed
 * by notify_init(), so that no child speaks for us, as are those of the watchdog. Call it
 * before any thread.
 */
#ifndef SERVICE_NOTIFY_H
#define SERVICE_NOTIFY_H

#include <stdint.h>

void notify_init(void);
void notify_state(const char *state); /* "READY=1", "STOPPING=1", "WATCHDOG=1" */

/* After so long without WATCHDOG=1 the service manager takes us for hung; 0: it does not watch. */
int64_t notify_watchdog_ms(void);

#endif
