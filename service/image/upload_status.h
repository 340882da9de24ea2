/*
 * What the client of a push or a copy is told of one blob: set by the thread that sends
 * it, read and sent by the thread of the call. The lock is the call's.
 */
#ifndef SERVICE_IMAGE_UPLOAD_STATUS_H
#define SERVICE_IMAGE_UPLOAD_STATUS_H

#include <stdbool.h>

#include "imaged/v1/transfer.pb-c.h"

enum {
	UPLOAD_PROGRESS_MS = 100, /* between two progress events of one layer */
	UPLOAD_MESSAGE_MAX = 256,
};

struct upload_status {
	Imaged__V1__PushProgress__State state;
	int64_t offset;
	const char *from; /* STATE_MOUNTED; lives as long as the call */
	char message[UPLOAD_MESSAGE_MAX];
};

/* A status of its blob and when it was sent; the call's thread only. */
struct upload_told {
	struct upload_status status;
	int64_t ms;
};

void upload_status_set(struct upload_status *s, int state, int64_t offset, const char *message);
/* A state that is new, or bytes when there were none for a while. */
bool upload_is_news(const struct upload_told *told, const struct upload_status *now);
/* Fills all but digest and total, and notes that it is told. The message borrows. */
void upload_tell(struct upload_told *told, const struct upload_status *now, Imaged__V1__PushProgress *m);

#endif
