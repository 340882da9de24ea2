/* One line of comma-separated values (RFC 4180), as the options of --mount are. Pure. */
#ifndef SERVICE_BUILD_CSV_H
#define SERVICE_BUILD_CSV_H

#include "service/build/words.h"

/* At least one field; in the arena. E_INVALID: "parse error on line 1, column 5: bare \" in
 * non-quoted-field". */
int csv_fields(const char *text, struct arena *a, struct string_list *ret_fields, struct err *err);

#endif
