/*
 * What `call` asks for in place of a build: what the linters find, a Dockerfile's arguments and
 * secrets, its stages; for people, or as JSON. In BuildKit's forms. Inside of this folder.
 */
#ifndef SERVICE_BUILD_SESSION_REPORT_H
#define SERVICE_BUILD_SESSION_REPORT_H

#include "service/build/session/front_end.h"

enum report_kind { REPORT_NONE, REPORT_CHECK, REPORT_OUTLINE, REPORT_TARGETS };

struct report {
	enum report_kind kind;
	bool json;
};

/* E_INVALID: there is no such call. */
int report_parse(const char *call, struct report *ret_report, struct err *err);

/* Appends. `failure`: why the Dockerfile cannot be built, for REPORT_CHECK; NULL: it can.
 * The plan of `f` is made, for all but that. */
int report_write(const struct report *r, struct definition *d, const struct front_end *f, const struct err *failure,
		 struct buf *out, struct err *err);

#endif
