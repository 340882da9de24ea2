/*
 * Tells the service manager how the daemon is (sd_notify protocol): a datagram to
 * $NOTIFY_SOCKET. Without that variable nothing happens. The variable is removed
 * by notify_init(), so that no child speaks for us. Call it before any thread.
 */
#ifndef SERVICE_NOTIFY_H
#define SERVICE_NOTIFY_H

void notify_init(void);
void notify_state(const char *state); /* "READY=1", "STOPPING=1" */

#endif
