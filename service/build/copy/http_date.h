/* Times as HTTP servers write them (RFC 9110, 5.6.7, the preferred form). Pure. */
#ifndef SERVICE_BUILD_COPY_HTTP_DATE_H
#define SERVICE_BUILD_COPY_HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

/* "Sun, 06 Nov 1994 08:49:37 GMT", in seconds since 1970; false: it is none. */
bool http_date_parse(const char *text, int64_t *ret_seconds);

#endif
