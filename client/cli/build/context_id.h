/*
 * What a directory is called among this user's builds (ClientDirectory.id): the same in each,
 * and not to be guessed by others, since whoever knows it can put files into it. Made of a
 * random key that the user keeps, and the directory's real path.
 */
#ifndef CLIENT_CLI_BUILD_CONTEXT_ID_H
#define CLIENT_CLI_BUILD_CONTEXT_ID_H

#include "store/types/digest.h"

/* The key lies in $XDG_STATE_HOME (else ~/.local/state) and is made at the first use. Where
 * none can be kept, the id is another one each time, and nothing is reused. */
int context_id(const char *directory, struct digest *ret_id, struct err *err);

#endif
