/*
 * A Dockerfile as a list of instructions with their words and places (build.md 1.1): what
 * the keyword is, which flags it has, how its argument falls into words. What the words
 * mean is instruction.h.
 *
 *	ENV, LABEL              three words for each pair: name, value, "=" (or "": written
 *	                        with a blank)
 *	ARG                     words with their quotes
 *	CMD, ENTRYPOINT, RUN, SHELL   a JSON array, or one text
 *	ADD, COPY, VOLUME       a JSON array, or words
 *	EXPOSE, FROM            words
 *	HEALTHCHECK             its kind; then as CMD
 *	MAINTAINER, STOPSIGNAL, USER, WORKDIR   one text
 *	ONBUILD                 an instruction
 *
 * An unknown keyword is no error yet, and has no words. Pure; everything is in the
 * caller's arena or a piece of the caller's text, which both live longer.
 */
#ifndef SERVICE_BUILD_TREE_H
#define SERVICE_BUILD_TREE_H

#include "service/build/heredoc.h"

enum {
	DOCKERFILE_MAX = 4 * 1024 * 1024,
	INSTRUCTIONS_MAX = 10 * 1000, /* no more than an image's history holds */
	/* Enough for any file that is written by people: of one of DOCKERFILE_MAX bytes
	 * full of one-letter words it is not. */
	DOCKERFILE_ARENA_MAX = 96 * 1024 * 1024,
};

/* Lines of the file, from 1; first is 0 when a place is unknown. */
struct place {
	int first, last;
};

struct node {
	struct bytes keyword;  /* as written */
	struct bytes original; /* the joined line, without blanks before it */
	struct word_list flags;
	struct word_list words;
	bool json;	    /* the words come from a JSON array */
	struct node *child; /* of ONBUILD, or NULL */
	struct heredoc *heredocs;
	size_t n_heredocs;
	struct place place;
	struct word_list comments; /* right above it */
};

struct tree {
	struct node *nodes;
	size_t n;
	char escape;
	struct place *empty_continuations; /* where an instruction ends that holds such a line */
	size_t n_empty_continuations, empty_continuations_capacity;
};

/* E_INVALID in docker's words, about *ret_place; E_LIMIT, E_NO_MEMORY. */
int tree_parse(struct bytes text, struct arena *a, struct tree *ret_tree, struct place *ret_place, struct err *err);

/* One line as lines.h gives it: no comments, place or here-documents. */
int node_parse(struct bytes line, char escape, struct arena *a, struct node *ret_node, struct err *err);

#endif
