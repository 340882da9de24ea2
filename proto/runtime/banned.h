/* Force-included: functions that have no safe use here. */
#ifndef PROTO_RUNTIME_BANNED_H
#define PROTO_RUNTIME_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Fortified headers make macros of some. */
#undef sprintf
#undef vsprintf
#undef strcpy
#undef strcat
#pragma GCC poison strcpy strcat sprintf vsprintf strtok gets
#pragma GCC poison atoi atol atoll atof
#pragma GCC poison gmtime localtime ctime asctime
#undef alloca
#pragma GCC poison system popen mktemp tmpnam alloca access

#endif
