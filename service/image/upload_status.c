#include "service/image/upload_status.h"

#include <stdio.h>

#include "proto/runtime/clock.h"
#include "service/image/convert.h"

void upload_status_set(struct upload_status *s, int state, int64_t offset, const char *message)
{
	s->state = (Imaged__V1__PushProgress__State)state;
	s->offset = offset;
	snprintf(s->message, sizeof s->message, "%s", message);
}

bool upload_is_news(const struct upload_told *told, const struct upload_status *now)
{
	if (now->state != told->status.state)
		return true;
	return now->offset != told->status.offset && clock_monotonic_ms() - told->ms >= UPLOAD_PROGRESS_MS;
}

void upload_tell(struct upload_told *told, const struct upload_status *now, Imaged__V1__PushProgress *m)
{
	told->status = *now;
	told->ms = clock_monotonic_ms();
	utf8_clean(told->status.message);
	m->state = told->status.state;
	m->current = told->status.offset;
	m->message = told->status.message;
	m->from = (char *)(told->status.from ? told->status.from : "");
}
