/* Names of variables that look as if they held a secret ("API_KEY", "github_token"): an
 * ARG or ENV of such a name gets a warning. Pure. */
#ifndef SERVICE_BUILD_SECRET_NAME_H
#define SERVICE_BUILD_SECRET_NAME_H

#include "service/build/instruction.h"
#include "service/build/lint.h"

/* A part between underscores is one of the words, and none says that it is public. */
bool is_secret_name(const char *name);

void warn_secret(struct lint *l, const struct instruction *i, const char *name);

#endif
