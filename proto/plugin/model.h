/*
 * What a CodeGeneratorRequest says, in the form that code is written from: the
 * services of a file, with their C names and the types of their methods.
 *
 * Order: model_init(), then model_unit() for each file to generate, then
 * model_free(). A unit that was returned has passed all checks (check.h) and may
 * be written without further ones. All memory belongs to the model; the request
 * must outlive it.
 */
#ifndef PROTO_PLUGIN_MODEL_H
#define PROTO_PLUGIN_MODEL_H

#include "proto/plugin/source.h"

/* One message type of any file of the request. */
struct type {
	const char *full_name; /* "imaged.v1.PullRequest" */
	const MessageProto *proto;
	struct place place;
	enum { TYPE_UNSEEN, TYPE_OPEN, TYPE_DONE } state; /* of the walk in check.c */
};

struct model {
	struct arena arena;
	const GenRequest *request;
	struct type *types; /* sorted by full_name */
	size_t n_types;
	const char *public_prefix; /* of write_public(); NULL for the other parts */
	const char *default_role;  /* of methods that name none; NULL: each must */
};

struct method {
	const MethodProto *proto;
	struct place place;
	const char *name;   /* "ListImages" */
	const char *lower;  /* "list_images" */
	const char *upper;  /* "LIST_IMAGES" */
	const char *member; /* lower, or lower with "_" where C has the word */
	struct type *input, *output;
	const char *input_c, *output_c;		/* C types */
	const char *input_lower, *output_lower; /* for NAME__descriptor */
	const char *role;			/* one of options_is_role(), when check.c has passed */
	const char *target;			/* paths of fields of the input, separated by commas */
	bool client_streaming, server_streaming;
	bool is_inline, is_transfer, idempotent;
};

struct service {
	const ServiceProto *proto;
	struct place place;
	const char *full_name; /* "imaged.v1.ImageService" */
	const char *lower;     /* "imaged__v1__image_service" */
	const char *upper;     /* "IMAGED__V1__IMAGE_SERVICE" */
	struct method *methods;
	size_t n_methods;
};

/* A file to generate. */
struct unit {
	const FileProto *file;
	const char *stem; /* the path without ".proto" */
	struct service *services;
	size_t n_services;
};

int model_init(struct model *m, const GenRequest *request, struct err *err);
void model_free(struct model *m);

int model_unit(struct model *m, const char *path, struct unit *ret_unit, struct err *err);

const FileProto *model_file(const struct model *m, const char *path); /* or NULL */
/* By the name that fields and methods hold (".imaged.v1.PullRequest"); or NULL. */
struct type *model_type(const struct model *m, const char *name);

/* The path without its ".proto", as protoc-gen-c names its output. */
const char *model_stem(struct model *m, const char *path);

#endif
