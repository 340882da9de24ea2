/*
 * Writes the C of a unit. Each function appends to buffers that the caller
 * checks when all is written (buf_ok()).
 */
#ifndef PROTO_PLUGIN_WRITE_H
#define PROTO_PLUGIN_WRITE_H

#include "proto/plugin/model.h"
#include "proto/runtime/buf.h"

/* A header and its source: X.rpc, X.server or X.client; X for the public one. */
struct pair {
	struct buf header, source;
};

void write_rpc(struct model *m, const struct unit *u, struct pair *out);
void write_server(struct model *m, const struct unit *u, struct pair *out);
void write_client(struct model *m, const struct unit *u, struct pair *out);
void write_public(struct model *m, const struct unit *u, struct pair *out); /* m->public_prefix is set */

/* The struct rpc_file of the unit's file and of all that it imports, and the
 * identifier of a file's struct. */
void write_files(struct model *m, const struct unit *u, struct buf *out);
void write_file_id(struct model *m, const char *path, struct buf *out);

/* Pieces that all of them share. `part` is "rpc", "server", "client" or "public". */
void write_header_start(struct model *m, const struct unit *u, const char *part, struct buf *out);
void write_header_end(struct buf *out);
void write_source_start(const struct unit *u, const char *part, struct buf *out);
/* #include of the messages of all methods. */
void write_message_includes(struct model *m, const struct unit *u, struct buf *out);
/* The comment of the .proto file, as a C comment; nothing when there is none. */
void write_comment(const struct place *place, const char *indent, struct buf *out);
/* A string literal. */
void write_literal(const char *text, struct buf *out);

#endif
