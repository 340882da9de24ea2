#include "service/build/session/debug_shell.h"

#include "service/build/run/shell.h"

enum { USUAL_COLUMNS = 80, USUAL_ROWS = 24 };

static const char usual_shell[] = "/bin/sh";
static const char holds_up[] = "the step's caches with sharing=locked are nobody else's until this shell ends\r\n";

static int send_output(struct session *s, struct bytes data, const int *exit_code, struct err *err)
{
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;
	Imaged__V1__ShellOutput m = IMAGED__V1__SHELL_OUTPUT__INIT;

	m.data = (ProtobufCBinaryData){ data.len, (uint8_t *)data.data };
	m.end = exit_code != NULL;
	m.exit_code = exit_code ? *exit_code : 0;
	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_SHELL;
	event.shell = &m;
	return session_send(s, &event, err);
}

static int write_output(void *session, UNUSED enum run_stream stream, struct bytes piece, struct err *err)
{
	return send_output(session, piece, NULL, err);
}

static void set_terminal(struct session *s, struct run_terminal *t)
{
	pthread_mutex_lock(&s->shell_mu);
	s->terminal = t;
	if (t && s->input_is_over)
		run_terminal_end(t);
	pthread_mutex_unlock(&s->shell_mu);
}

static bool is_at(const struct evaluated_stage *stage, struct place place)
{
	for (size_t i = 0; i < stage->n_steps; i++)
		if (stage->steps[i].instruction->place.first == place.first)
			return true;
	return false;
}

/* Of the stage whose step failed, as its SHELL says. */
static const char *shell_of(const struct evaluation *e, struct place place)
{
	for (size_t i = 0; i < e->n; i++) {
		const struct evaluated_stage *stage = &e->stages[i];

		if (stage->image && stage->image->config.shell.n && is_at(stage, place))
			return stage->image->config.shell.items[0];
	}
	return usual_shell;
}

static int run(struct session *s, const struct solve_failed *failed, const char *shell, struct run_terminal *t,
	       struct run_result *ret_result, struct err *err)
{
	const char *const args[] = { shell, NULL };
	const struct run_output out = { write_output, s };
	struct run_step step = *solve_failed_step(failed);

	step.args = args;
	return run_shell(solve_failed_config(failed), &step, t, &out, s->cancel, ret_result, err);
}

static int run_one(struct session *s, const struct solve_failed *failed, const char *shell, struct run_terminal *t,
		   int *ret_exit_code, struct err *err)
{
	struct run_result result = { .exit_code = 0 };
	const char *first = solve_failed_holds_up(failed) ? holds_up : "";

	if (send_output(s, bytes_of(first), NULL, err) < 0 || run(s, failed, shell, t, &result, err) < 0)
		return err->code;
	/* That which was missing may be why the step failed. */
	if (*result.message && strcmp(shell, usual_shell) != 0 && run(s, failed, usual_shell, t, &result, err) < 0)
		return err->code;
	if (*result.message)
		return fail(err, E_NOT_FOUND, "%s", result.message);
	*ret_exit_code = result.exit_code;
	return OK;
}

void debug_shell_run(struct session *s, const struct solution *solution, const struct evaluation *evaluation)
{
	CLEANUP(run_terminal_freep) struct run_terminal *t = NULL;
	struct err err = ERR_INIT;
	int exit_code = 1, r = run_terminal_new(USUAL_COLUMNS, USUAL_ROWS, &t, &err);

	progress_flush(s->progress); /* the step has failed, first of all */
	if (r == OK) {
		set_terminal(s, t);
		r = run_one(s, solution->failed, shell_of(evaluation, solution->place), t, &exit_code, &err);
		set_terminal(s, NULL);
	}
	if (r < 0) {
		CLEANUP(freep) char *why = format("no shell in the step: %s\r\n", err.text);

		if (why)
			send_output(s, bytes_of(why), NULL, NULL);
	}
	send_output(s, (struct bytes){ NULL, 0 }, &exit_code, NULL);
}

/* Under shell_mu. */
static int take(struct run_terminal *t, const Imaged__V1__ShellInput *m, struct err *err)
{
	if (m->columns && m->rows)
		run_terminal_resize(t, m->columns, m->rows);
	if (m->data.len && run_terminal_type(t, (struct bytes){ m->data.data, m->data.len }, err) < 0)
		return err->code;
	if (m->end)
		run_terminal_end(t);
	return OK;
}

int debug_shell_take(struct session *s, const Imaged__V1__ShellInput *m, struct err *err)
{
	int r;

	pthread_mutex_lock(&s->shell_mu);
	r = s->terminal ? take(s->terminal, m, err) : OK; /* it may have ended while this was on its way */
	pthread_mutex_unlock(&s->shell_mu);
	return r;
}

void debug_shell_end_input(struct session *s)
{
	pthread_mutex_lock(&s->shell_mu);
	s->input_is_over = true;
	if (s->terminal)
		run_terminal_end(s->terminal);
	pthread_mutex_unlock(&s->shell_mu);
}
