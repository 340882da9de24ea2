/*
 * One output of a build on its way. Private to service/build/result.
 */
#ifndef SERVICE_BUILD_RESULT_EXPORTING_H
#define SERVICE_BUILD_RESULT_EXPORTING_H

#include "service/build/result/made.h"

enum { OUTPUT_PIECE_BYTES = 256 * 1024 };

struct exporting {
	const struct result_request *r;
	const Imaged__V1__BuildOutput *output;
	uint32_t number; /* in the messages to the client */
	struct arena *arena;
	struct vertex *vertex;
	struct reference *names; /* with tags */
	size_t n_names;
	bool inline_cache; /* --cache-to type=inline */
	struct made made;
};

/* The image in the store, by the form that the output asks for; statuses are told. */
int exporting_make(struct exporting *x, bool for_registry, struct err *err);

/* The kinds. What was made stays until the caller ends it. */
int export_to_store(struct exporting *x, struct err *err);
int export_archive(struct exporting *x, struct err *err);
int export_to_registry(struct exporting *x, struct err *err);
int export_tar(struct exporting *x, struct err *err);
int export_files(struct exporting *x, struct err *err);

/* result_tree.c */
int export_open_tree(const struct exporting *x, const struct built *b, struct tree **ret_tree, struct err *err);

/* merged_trees.c: whether the trees of all platforms fit into one directory. E_CONFLICT. */
int export_check_merge(const struct exporting *x, struct err *err);

/* Bytes of an archive to the client. */
struct output_stream {
	const struct result_peer *peer;
	uint32_t output;
	struct vertex *vertex;
	const char *what; /* status */
	bool silent;	  /* how much was sent is not told */
	bool goes_on;	  /* with another file, when one ends */
	int64_t sent;
};

int output_send(struct output_stream *s, const void *data, size_t len, bool end, struct err *err);

/* metadata.c */
int metadata_fill(const struct exporting *x, Imaged__V1__BuildDone *done, struct err *err);

#endif
