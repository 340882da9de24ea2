/*
 * Whether programs of a platform can run here: by the processor, or by an emulator that the
 * kernel calls for them (Linux, Documentation/admin-guide/binfmt-misc.rst).
 */
#ifndef SERVICE_BUILD_SOLVE_FOREIGN_H
#define SERVICE_BUILD_SOLVE_FOREIGN_H

#include "store/types/platform.h"

/* E_UNSUPPORTED, with what to do. */
int foreign_check(const struct platform *p, struct err *err);

/* One entry of binfmt_misc, as its file shows it: whether it is on, found in any root ("F"), and for
 * ELF files of this machine number. Pure. */
bool foreign_entry_serves(const char *text, unsigned machine);

#endif
