/*
 * What was found about a Dockerfile, for people and for programs, in BuildKit's forms
 * (`--check`, `--check --format json`).
 *
 *	WARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/…/
 *	Stage name 'Foo' should be lowercase
 *	Dockerfile:1
 *	--------------------
 *	…
 *
 * Pure. Warnings are sorted by their lines.
 */
#ifndef SERVICE_BUILD_LINT_REPORT_H
#define SERVICE_BUILD_LINT_REPORT_H

#include "service/build/lint.h"

struct lint_subject {
	const char *filename;
	struct bytes text;
	const char *error; /* why it cannot be built; NULL: it can */
	struct place error_place;
};

/* Appends. Sorts the warnings in place; E_NO_MEMORY, E_LIMIT when they do not fit. */
int lint_report_text(struct lint *l, const struct lint_subject *subject, struct buf *out, struct err *err);
int lint_report_json(struct lint *l, const struct lint_subject *subject, struct buf *out, struct err *err);

#endif
