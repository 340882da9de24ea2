/*
 * The two faces of an inspected image (docker-cli.md 1.9, 4): what docker's engine
 * (API 1.41) sends as JSON, and the struct that docker's client (28.2) reads it
 * into. A template sees the struct first, and the JSON as plain maps if that
 * fails.
 */
#ifndef CLIENT_CLI_COMMANDS_INSPECT_TYPES_H
#define CLIENT_CLI_COMMANDS_INSPECT_TYPES_H

#include "client/cli/value/value.h"
#include "imaged/v1/image.pb-c.h"

/* `root`: as for graph_driver_value(). VALUE_NONE when the arena is full. */
struct value inspect_engine(struct arena *a, const Imaged__V1__InspectImageResponse *r, const char *root);
struct value inspect_client(struct arena *a, const Imaged__V1__InspectImageResponse *r, const char *root);
/* A value as its JSON would be read again: map[string]interface {}, json.Number. */
struct value inspect_raw(struct arena *a, struct value v);

#endif
