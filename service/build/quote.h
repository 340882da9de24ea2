/* Text in double quotes as Go's %q writes it: what docker's messages and histories hold. Pure. */
#ifndef SERVICE_BUILD_QUOTE_H
#define SERVICE_BUILD_QUOTE_H

#include "proto/runtime/buf.h"

void quote_go(struct buf *out, struct bytes text);

/* A number as a character in single quotes, which is what %q makes of it: '\x02'. */
void quote_rune(struct buf *out, uint32_t rune);

/* The beginning of the text, for a message. */
enum { QUOTED_MAX = 256 };
struct quoted {
	char text[4 * QUOTED_MAX + 3];
};
const char *quote_short(const char *text, struct quoted *out);

#endif
