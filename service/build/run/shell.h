/*
 * A command with a terminal in the place of a RUN step, for --debug-shell: the step's root,
 * environment, directory, user and mounts, and a pseudo terminal that its caller serves.
 *
 * With the directory of a step that failed it sees what that left; with a new one, the
 * state before. What it changes stays in the directory, which is thrown away.
 */
#ifndef SERVICE_BUILD_RUN_SHELL_H
#define SERVICE_BUILD_RUN_SHELL_H

#include "service/build/run/run.h"

enum { RUN_TERMINAL_TYPED_MAX = 1 << 20 }; /* bytes that the command has not read yet */

/* The caller's side of the terminal. Threads: any. */
struct run_terminal;

int run_terminal_new(unsigned columns, unsigned rows, struct run_terminal **ret_terminal, struct err *err);
void run_terminal_free(struct run_terminal *t); /* NULL is fine; no run_shell() uses it */
void run_terminal_freep(struct run_terminal **t);

/* E_LIMIT: the command does not read it. */
int run_terminal_type(struct run_terminal *t, struct bytes data, struct err *err);
void run_terminal_resize(struct run_terminal *t, unsigned columns, unsigned rows);
/* Nothing is typed any more: the command is told as by ^D, again and again, as it may be missed while a program
 * changes the terminal. To end it at once, fire run_shell()'s token. */
void run_terminal_end(struct run_terminal *t);

/* Until the command ends; as run_step(), with all output as RUN_STDOUT. `step->args` is the command: the shell of the
 * image, or /bin/sh. TERM is added when missing. */
int run_shell(const struct run_config *c, const struct run_step *step, struct run_terminal *t,
	      const struct run_output *out, struct cancel *cancel, struct run_result *ret_result, struct err *err);

#endif
