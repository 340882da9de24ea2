/*
 * The names that a unit defines in C. Different names of a .proto file can become
 * one: methods GetURL and GetUrl are both get_url.
 */
#ifndef PROTO_PLUGIN_SYMBOLS_H
#define PROTO_PLUGIN_SYMBOLS_H

#include "proto/plugin/model.h"

/* E_INVALID, naming both places, when two things of the unit get one name. */
int symbols_check(struct model *m, const struct unit *u, struct err *err);

#endif
