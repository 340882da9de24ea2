/*
 * C names for protobuf names, as protoc-gen-c makes them, so that our code and
 * its messages fit together.
 *
 * All return memory of the arena, or NULL when it has no more.
 */
#ifndef PROTO_PLUGIN_NAMES_H
#define PROTO_PLUGIN_NAMES_H

#include "proto/runtime/arena.h"

/* "my_pkg.HTTPProxy" as a type: "MyPkg__HTTPProxy". */
char *name_type(struct arena *a, const char *full_name);
/* As the start of a function: "my_pkg__httpproxy". */
char *name_lower(struct arena *a, const char *full_name);
/* As the start of an enumerator: "MY_PKG__HTTPPROXY". */
char *name_upper(struct arena *a, const char *full_name);

/* A lower name as a struct member: with a "_" behind it where the name is a word
 * of C or C++, or a macro that common headers define. */
char *name_member(struct arena *a, const char *lower);

/* An identifier for an import path; different paths give different ones. */
char *name_path(struct arena *a, const char *path);

/* Whether it can be part of a C identifier: [A-Za-z_][A-Za-z0-9_]*. */
bool name_is_identifier(const char *text);

#endif
