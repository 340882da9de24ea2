/* Builds on record, for the commands of `build history`. */
#ifndef CLIENT_CLI_COMMANDS_BUILD_HISTORY_H
#define CLIENT_CLI_COMMANDS_BUILD_HISTORY_H

#include "client/cli/cli.h"
#include "client/cli/format/rows.h"
#include "imaged/v1/build_record.pb-c.h"

/* All pages of ListBuilds; of one build when `id` is not empty. */
struct build_pages {
	Imaged__V1__ListBuildsResponse **items;
	size_t n;
};

int build_pages_fetch(struct cli *cli, const char *id, struct build_pages *ret_pages, struct err *err);
void build_pages_free(struct build_pages *p);
/* The only build of the only page; NULL: there is none. */
const Imaged__V1__BuildInfo *build_pages_first(const struct build_pages *p);

/* "Completed", "Running", … */
const char *build_state_text(Imaged__V1__BuildInfo__State state);
/* "app/Dockerfile.test (target)": the last parts of what it was called with. */
void build_name(const Imaged__V1__BuildInfo *m, struct buf *out);
int64_t build_duration_ns(const Imaged__V1__BuildInfo *m, int64_t now_ns);
/* "1.2s", "2m 05s" */
enum { BUILD_DURATION_MAX = 32 };
char *build_duration_text(int64_t ns, char out[BUILD_DURATION_MAX]);

#endif
