/*
 * Go's text/template, with docker's functions: what every --format uses.
 *
 * A template is parsed once and executed many times over values (value.h). The
 * language is Go 1.24's: pipelines, variables, if, with, range (lists, maps,
 * integers), else chains, break, continue, define, template, block, comments, trim
 * markers. Errors are worded and placed as Go words and places them, without the
 * "template parsing error: " that docker puts in front.
 *
 * Bounds, so that no template can hang or exhaust the process: nesting
 * (TEMPLATE_DEPTH_MAX), steps and memory of one execution. Ownership: a template
 * owns its nodes; its text must outlive it. A template may be used by one thread
 * at a time.
 */
#ifndef CLIENT_CLI_TEMPLATE_TEMPLATE_H
#define CLIENT_CLI_TEMPLATE_TEMPLATE_H

#include "client/cli/value/value.h"

enum {
	TEMPLATE_TEXT_MAX = 256 * 1024,
	TEMPLATE_DEPTH_MAX = 200,  /* as written */
	TEMPLATE_CALLS_MAX = 1000, /* as executed: templates that call templates */
	TEMPLATE_STEPS_MAX = 20 * 1000 * 1000,
	TEMPLATE_MEMORY_MAX = 64 * 1024 * 1024,
	TEMPLATE_OUTPUT_MAX = 256 * 1024 * 1024,
};

struct template;

/* E_TEMPLATE: "template: :1: unclosed action". */
int template_parse(struct text text, struct template **ret_template, struct err *err);
void template_free(struct template *t);
void template_freep(struct template **t);

enum template_mode {
	TEMPLATE_ROW,
	/* The header of a table: functions that change text return it unchanged. */
	TEMPLATE_HEADER,
};

struct template_options {
	enum template_mode mode;
	bool missing_key_error; /* a key that a map lacks is an error, not "<no value>" */
	uint64_t steps_max;	/* 0: TEMPLATE_STEPS_MAX */
};

/* Appends to out, which keeps what was written before an error. */
int template_execute(struct template *t, const struct template_options *options, struct value dot, struct buf *out,
		     struct err *err);

#endif
