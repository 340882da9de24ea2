/* From the API's messages to what commands print. */
#ifndef CLIENT_CLI_CONVERT_H
#define CLIENT_CLI_CONVERT_H

#include "client/cli/value/value.h"
#include "imaged/v1/common.pb-c.h"
#include "store/types/reference.h"

/* Seconds since 1970; Go's zero time where there is none. */
int64_t seconds_of(const Google__Protobuf__Timestamp *t);
int32_t nanos_of(const Google__Protobuf__Timestamp *t);
struct value time_go(struct arena *a, int64_t seconds);	   /* "2021-10-16 01:47:45 +0000 UTC" */
struct value time_local(struct arena *a, int64_t seconds); /* "2021-10-15T09:47:45+08:00" */
struct value time_utc(struct arena *a, const Google__Protobuf__Timestamp *t);

struct value size_value(struct arena *a, int64_t bytes, int digits);
struct value age_value(struct arena *a, int64_t seconds, int64_t now_ns);
/* An ID, cut to 12 digits unless whole. */
struct value id_value(struct arena *a, const char *id, bool whole);

/* A canonical reference of the API in its familiar form; the text as it is when
 * it is no reference. */
char *familiar_text(const char *canonical, char out[REFERENCE_TEXT_MAX]);

/* "os/arch[/variant]" */
char *platform_of(const Imaged__V1__Platform *p, char out[256]);

#endif
