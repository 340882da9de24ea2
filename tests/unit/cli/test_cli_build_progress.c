/* Displays of a build, against what docker's buildx showed for the same events. */
#include "cli_test.h"

#include "client/cli/build/progress.h"

#define MS (INT64_C(1000000))
#define BEGIN (INT64_C(1764000000) * 1000 * MS)

static struct buf shown = BUF_INIT(4 << 20);
static int64_t now;

static void take(UNUSED void *arg, const void *data, size_t len)
{
	buf_append(&shown, data, len);
}

static struct build_progress *start(enum build_progress_mode mode, int width, int height, bool colours)
{
	const struct build_progress_options options = {
		.mode = mode,
		.title = mode == BUILD_PROGRESS_PLAIN ? "building with \"default\" instance using docker driver" : NULL,
		.driver = "docker:default",
		.expand = "use docker --debug to expand",
		.width = width,
		.height = height,
		.colours = colours,
		.write = take,
	};
	struct build_progress *p;

	buf_reset(&shown);
	now = BEGIN;
	assert_int_equal(build_progress_new(&options, &p, NULL), OK);
	return p;
}

static void tell(struct build_progress *p, const Imaged__V1__BuildEvent *event)
{
	struct err err = ERR_INIT;

	assert_int_equal(build_progress_event(p, event, now, &err), OK);
}

static Google__Protobuf__Timestamp moment(int64_t ns)
{
	Google__Protobuf__Timestamp t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

	t.seconds = ns / 1000000000;
	t.nanos = (int32_t)(ns % 1000000000);
	return t;
}

static void step(struct build_progress *p, unsigned number, const char *name, Imaged__V1__Step__State state,
		 const char *error)
{
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;
	Imaged__V1__Step m = IMAGED__V1__STEP__INIT;
	Google__Protobuf__Timestamp time = moment(now);

	m.number = number;
	m.name = (char *)name;
	m.state = state;
	m.error = (char *)error;
	if (state == IMAGED__V1__STEP__STATE__STATE_RUNNING)
		m.started = &time;
	else
		m.ended = &time;
	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_STEP;
	event.step = &m;
	tell(p, &event);
}

static void begin(struct build_progress *p, unsigned number, const char *name)
{
	step(p, number, name, IMAGED__V1__STEP__STATE__STATE_RUNNING, "");
}

static void end(struct build_progress *p, unsigned number, int64_t after_ms)
{
	now += after_ms * MS;
	step(p, number, "", IMAGED__V1__STEP__STATE__STATE_DONE, "");
}

static void status(struct build_progress *p, unsigned number, const char *what, int64_t current, int64_t total,
		   bool done)
{
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;
	Imaged__V1__StepProgress m = IMAGED__V1__STEP_PROGRESS__INIT;

	m.step = number;
	m.what = (char *)what;
	m.current = current;
	m.total = total;
	m.done = done;
	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_PROGRESS;
	event.progress = &m;
	tell(p, &event);
}

static void log_text(struct build_progress *p, unsigned number, const char *text)
{
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;
	Imaged__V1__StepLog m = IMAGED__V1__STEP_LOG__INIT;
	Google__Protobuf__Timestamp time = moment(now);

	m.step = number;
	m.data = (ProtobufCBinaryData){ strlen(text), (uint8_t *)text };
	m.time = &time;
	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_LOG;
	event.log = &m;
	tell(p, &event);
}

static void warning(struct build_progress *p, const char *rule, const char *text, unsigned line, const char *excerpt)
{
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;
	Imaged__V1__BuildWarning m = IMAGED__V1__BUILD_WARNING__INIT;

	m.rule = (char *)rule;
	m.message = (char *)text;
	m.first_line = line;
	if (excerpt) {
		m.is_error = true;
		m.excerpt = (ProtobufCBinaryData){ strlen(excerpt), (uint8_t *)excerpt };
	}
	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_WARNING;
	event.warning = &m;
	tell(p, &event);
}

static void finish(struct build_progress *p, bool canceled, const char *expected)
{
	build_progress_end(p, canceled, now);
	build_progress_free(p);
	assert_string_equal(buf_text(&shown), expected);
	buf_free(&shown);
}

/* ---- plain -------------------------------------------------------------------------------------------- */

#define TITLE "#0 building with \"default\" instance using docker driver\n\n"

static void plain_is_what_docker_prints(UNUSED void **state)
{
	struct build_progress *p = start(BUILD_PROGRESS_PLAIN, 0, 0, true);

	begin(p, 1, "[internal] load build definition from Dockerfile");
	status(p, 1, "transferring dockerfile:", 188, 0, true);
	end(p, 1, 4);
	begin(p, 2, "[2/3] RUN echo hello > /hello");
	now += 675 * MS;
	log_text(p, 2, "to-stdout\nto-");
	now += 5 * MS;
	log_text(p, 2, "stderr\n");
	end(p, 2, 120);
	begin(p, 3, "[3/3] COPY f /f");
	step(p, 3, "", IMAGED__V1__STEP__STATE__STATE_CACHED, "");
	begin(p, 4, "exporting to image");
	status(p, 4, "exporting layers", 0, 0, false);
	now += 60 * MS;
	status(p, 4, "exporting layers", 0, 0, true);
	status(p, 4, "sha256:aa", 1490, 1500000, false);
	end(p, 4, 20);
	finish(p, false,
	       TITLE "#1 [internal] load build definition from Dockerfile\n"
		     "#1 transferring dockerfile: 188B done\n"
		     "#1 DONE 0.0s\n\n"
		     "#2 [2/3] RUN echo hello > /hello\n"
		     "#2 0.675 to-stdout\n"
		     "#2 0.675 to-stderr\n"
		     "#2 DONE 0.8s\n\n"
		     "#3 [3/3] COPY f /f\n"
		     "#3 CACHED\n\n"
		     "#4 exporting to image\n"
		     "#4 exporting layers 0.1s done\n"
		     "#4 sha256:aa 1.49kB / 1.50MB\n"
		     "#4 DONE 0.1s\n");
}

static void plain_numbers_steps_as_they_are_printed(UNUSED void **state)
{
	struct build_progress *p = start(BUILD_PROGRESS_PLAIN, 0, 0, true);

	begin(p, 7, "slow");
	begin(p, 3, "quick");
	now += 200 * MS;
	build_progress_tick(p, now);
	log_text(p, 7, "one\n");
	now += 200 * MS;
	build_progress_tick(p, now);
	end(p, 3, 100);
	now += 10 * 1000 * MS;
	log_text(p, 7, "two\n");
	build_progress_tick(p, now);
	now += 100 * 1000 * MS;
	log_text(p, 7, "three\n");
	end(p, 7, 0);
	finish(p, false,
	       TITLE "#1 slow\n"
		     "#1 0.200 one\n"
		     "#1 ...\n\n"
		     "#2 quick\n"
		     "#2 DONE 0.5s\n\n"
		     "#1 slow\n"
		     "#1 10.50 two\n"
		     "#1 110.5 three\n"
		     "#1 DONE 110.5s\n");
}

/* What others have to say must not wait for a step without end. */
static void plain_switches_to_whom_has_waited(UNUSED void **state)
{
	struct build_progress *p = start(BUILD_PROGRESS_PLAIN, 0, 0, true);

	begin(p, 1, "a");
	log_text(p, 1, "1\n");
	now += 1000 * MS;
	build_progress_tick(p, now);
	begin(p, 2, "b");
	log_text(p, 2, "2\n");
	now += 4000 * MS;
	build_progress_tick(p, now);
	assert_string_equal(buf_text(&shown), TITLE "#1 a\n#1 0.000 1\n");
	now += 3000 * MS;
	build_progress_tick(p, now);
	finish(p, true, TITLE "#1 a\n#1 0.000 1\n#1 ...\n\n#2 b\n#2 0.000 2\n#2 CANCELED\n\n#1 a\n#1 CANCELED\n");
}

static void plain_ends_with_what_failed(UNUSED void **state)
{
	struct build_progress *p = start(BUILD_PROGRESS_PLAIN, 0, 0, true);

	begin(p, 1, "[2/2] RUN make");
	for (int i = 1; i <= 12; i++) {
		char line[16];

		snprintf(line, sizeof line, "line %d\n", i);
		log_text(p, 1, line);
	}
	log_text(p, 1, "no newline");
	now += 400 * MS;
	step(p, 1, "", IMAGED__V1__STEP__STATE__STATE_FAILED, "exit code: 3");
	warning(p, "", "", 2, "Dockerfile:2\n--------------------\n");
	finish(p, true,
	       TITLE "#1 [2/2] RUN make\n"
		     "#1 0.000 line 1\n#1 0.000 line 2\n#1 0.000 line 3\n#1 0.000 line 4\n#1 0.000 line 5\n"
		     "#1 0.000 line 6\n#1 0.000 line 7\n#1 0.000 line 8\n#1 0.000 line 9\n#1 0.000 line 10\n"
		     "#1 0.000 line 11\n#1 0.000 line 12\n#1 0.000 no newline\n"
		     "#1 ERROR: exit code: 3\n"
		     "------\n > [2/2] RUN make:\n"
		     "0.000 line 4\n0.000 line 5\n0.000 line 6\n0.000 line 7\n0.000 line 8\n0.000 line 9\n"
		     "0.000 line 10\n0.000 line 11\n0.000 line 12\n0.000 no newline\n"
		     "------\n"
		     "Dockerfile:2\n--------------------\n");
}

static void plain_tells_warnings_twice(UNUSED void **state)
{
	struct build_progress *p = start(BUILD_PROGRESS_PLAIN, 0, 0, true);

	begin(p, 1, "[internal] load build definition from Dockerfile");
	end(p, 1, 0);
	warning(p, "StageNameCasing", "Stage name 'Base' should be lowercase", 1, NULL);
	warning(p, "MaintainerDeprecated", "Maintainer instruction is deprecated", 2, NULL);
	finish(p, false,
	       TITLE "#1 [internal] load build definition from Dockerfile\n"
		     "#1 WARN: StageNameCasing: Stage name 'Base' should be lowercase (line 1)\n"
		     "#1 WARN: MaintainerDeprecated: Maintainer instruction is deprecated (line 2)\n"
		     "#1 DONE 0.0s\n"
		     "\n \033[33m2 warnings found (use docker --debug to expand):\n"
		     "\033[0m - StageNameCasing: Stage name 'Base' should be lowercase (line 1)\n"
		     " - MaintainerDeprecated: Maintainer instruction is deprecated (line 2)\n");
}

/* However much is logged, it is not kept. */
static void plain_keeps_up_with_a_flood(UNUSED void **state)
{
	struct build_progress *p = start(BUILD_PROGRESS_PLAIN, 0, 0, true);
	char line[1001];
	size_t lines = 0;

	memset(line, 'x', sizeof line);
	line[999] = '\n';
	line[1000] = 0;
	begin(p, 1, "a");
	begin(p, 2, "b");
	for (int i = 0; i < 600; i++) {
		log_text(p, 1, line);
		log_text(p, 2, line);
	}
	build_progress_end(p, true, now);
	build_progress_free(p);
	assert_true(buf_ok(&shown));
	for (size_t i = 0; i < shown.len; i++)
		lines += shown.data[i] == 'x' && shown.data[i - 1] == ' ';
	assert_int_equal(lines, 2 * 600);
	buf_free(&shown);
}

/* ---- what is meant for a terminal and not for people ---------------------------------------------------- */

/* The title of the window, C1's CSI, a bell. */
#define NASTY "\033]0;x\007\302\233A\177"

static void nothing_that_is_told_speaks_to_a_terminal(UNUSED void **state)
{
	for (int mode = BUILD_PROGRESS_PLAIN; mode <= BUILD_PROGRESS_TTY; mode++) {
		struct build_progress *p = start(mode, 80, 24, false);
		const char *said;

		begin(p, 1, "[1/1] RUN " NASTY);
		status(p, 1, "sending " NASTY, 1, 2, false);
		warning(p, "Rule", "says " NASTY, 1, NULL);
		warning(p, "", "", 1, "1 | RUN " NASTY "\n");
		now += 300 * MS;
		build_progress_tick(p, now);
		step(p, 1, "", IMAGED__V1__STEP__STATE__STATE_FAILED, "no " NASTY);
		build_progress_end(p, false, now);
		build_progress_free(p);
		said = buf_text(&shown);
		assert_non_null(strstr(said, "RUN ?]0;x??A?"));
		assert_null(strstr(said, "\033]"));
		assert_null(strpbrk(said, "\007\177"));
		assert_null(strstr(said, "\302\233"));
	}
}

static void a_log_on_a_terminal_keeps_its_colours(UNUSED void **state)
{
	static const char log[] = "\033[1;31mred\033[0m 1%\r2%\b3%\t\033[2K\033[>4;1mend" NASTY
				  " \xc3\xa9 \033\n\033[\n";

	for (int is_terminal = 0; is_terminal < 2; is_terminal++) {
		const struct build_progress_options options = { .mode = BUILD_PROGRESS_PLAIN,
								.is_terminal = is_terminal,
								.write = take };
		struct build_progress *p;

		buf_reset(&shown);
		now = BEGIN;
		assert_int_equal(build_progress_new(&options, &p, NULL), OK);
		begin(p, 1, "name");
		log_text(p, 1, log);
		build_progress_end(p, false, now);
		build_progress_free(p);
		assert_non_null(strstr(buf_text(&shown),
				       is_terminal ? "\033[1;31mred\033[0m 1%\r2%\b3%\tend]0;xA \xc3\xa9 \n#1 0.000 [\n"
						   : "\033[>4;1mend" NASTY));
	}
}

/* ---- terminal ------------------------------------------------------------------------------------------ */

#define B "\033[34m"
#define R "\033[0m"

static void tty_is_what_docker_draws(UNUSED void **state)
{
	struct build_progress *p = start(BUILD_PROGRESS_TTY, 60, 24, true);

	begin(p, 1, "[internal] load build definition from Dockerfile");
	build_progress_tick(p, now);
	assert_string_equal(buf_text(&shown), "\033[1A\033[1B\033[0G\033[?25l"
					      "[+] Building 0.0s (0/1)                      docker:default\n"
					      " => [internal] load build definition from Dockerfile   0.0s\n"
					      "\033[?25h");
	buf_reset(&shown);
	status(p, 1, "transferring dockerfile:", 188, 0, true);
	end(p, 1, 10);
	begin(p, 2, "[2/2] RUN make");
	log_text(p, 2, "\033[31mred\033[0m 10%\r20%\n\nlast");
	now += 200 * MS;
	build_progress_tick(p, now);
	assert_string_equal(buf_text(&shown),
			    "\033[1A\033[1A\033[0G\033[?25l"
			    "[+] Building 0.2s (1/2)                      docker:default\n" B
			    " => [internal] load build definition from Dockerfile   0.0s\n" R B
			    " => => transferring dockerfile: 188B                   0.0s\n" R
			    " => [2/2] RUN make                                     0.2s\n"
			    "\033[2m => => # 20%                                               \n" R
			    "\033[2m => => # last                                              \n" R "\033[?25h");
	buf_reset(&shown);
	step(p, 2, "", IMAGED__V1__STEP__STATE__STATE_FAILED, "exit code: 1");
	finish(p, true,
	       "\033[1A\033[1A\033[1A\033[1A\033[1A\033[1A\033[0G\033[?25l"
	       "[+] Building 0.2s (2/2) FINISHED             docker:default\n" B
	       " => [internal] load build definition from Dockerfile   0.0s\n" R B
	       " => => transferring dockerfile: 188B                   0.0s\n" R
	       "\033[31m => ERROR [2/2] RUN make                               0.2s\n" R
	       "                                                            \n"
	       "                                                            \n"
	       "\033[1A\033[1A\033[0G\033[?25h"
	       "------\n > [2/2] RUN make:\n0.000 \033[31mred\033[0m 10%\r20%\n0.000 \n0.000 last\n------\n");
}

static size_t count_lines(void)
{
	size_t n = 0;

	for (size_t i = 0; i < shown.len; i++)
		n += shown.data[i] == '\n';
	return n;
}

/* A table higher than the terminal cannot be drawn over; at the end all is shown. */
static void tty_leaves_out_what_does_not_fit(UNUSED void **state)
{
	struct build_progress *p = start(BUILD_PROGRESS_TTY, 60, 10, false);

	for (unsigned i = 1; i <= 20; i++) {
		char name[32];

		snprintf(name, sizeof name, "step %u", i);
		begin(p, i, name);
		if (i < 20)
			end(p, i, 0);
	}
	build_progress_tick(p, now);
	assert_int_equal(count_lines(), 9);
	assert_non_null(strstr(buf_text(&shown), "step 20 "));
	assert_null(strstr(buf_text(&shown), "step 1 "));
	assert_null(strstr(buf_text(&shown), "\033[34m"));
	buf_reset(&shown);
	build_progress_end(p, false, now);
	assert_int_equal(count_lines(), 21);
	build_progress_free(p);
	buf_free(&shown);
}

/* A FROM is told when a step needs it, and stands before that all the same. */
static void tty_begins_each_stage_with_its_first_step(UNUSED void **state)
{
	static const char *const names[] = { "[internal] load a/b", "[build  2/10] RUN a", "[1/2] COPY b",
					     "[2/2] RUN b", "[build  1/10] FROM c" };
	static const char *const shown_as[] = { "[internal] load a/b", "[build  1/10] FROM c", "[build  2/10] RUN a",
						"[1/2] COPY b", "[2/2] RUN b" };
	struct build_progress *p = start(BUILD_PROGRESS_TTY, 60, 24, false);
	const char *at;

	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		begin(p, i + 1, names[i]);
	build_progress_tick(p, now);
	at = buf_text(&shown);
	for (size_t i = 0; i < ARRAY_LEN(shown_as); i++) {
		at = strstr(at, shown_as[i]);
		assert_non_null(at);
	}
	build_progress_free(p);
	buf_free(&shown);
}

/* Lines never wrap, whatever the width; names of wide characters take their cells. */
static void tty_fits_every_width(UNUSED void **state)
{
	for (int width = 1; width < 120; width += 7) {
		struct build_progress *p = start(BUILD_PROGRESS_TTY, width, 24, false);
		size_t line = 0;

		begin(p, 1, "[1/2] RUN echo 你好你好你好你好你好你好你好你好你好你好你好你好你好你好 && true");
		status(p, 1, "sha256:0000000000000000000000000000000000000000000000000000000000000000", 10, 1000,
		       false);
		log_text(p, 1,
			 "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234\n");
		build_progress_end(p, true, now);
		for (const char *at = strstr(buf_text(&shown), "?25l") + 4; *at && *at != '\033'; at++) {
			line = *at == '\n' ? 0 : line + ((*at & 0xc0) != 0x80);
			assert_true(line <= (size_t)width);
		}
		build_progress_free(p);
	}
	buf_free(&shown);
}

static void tty_goes_on_below_what_others_wrote(UNUSED void **state)
{
	struct build_progress *p = start(BUILD_PROGRESS_TTY, 60, 24, false);

	begin(p, 1, "a");
	build_progress_break(p, now);
	buf_reset(&shown);
	now += 200 * MS;
	build_progress_tick(p, now);
	assert_memory_equal(shown.data, "\033[1A\033[1B\033[0G", 12);
	build_progress_free(p);
	buf_free(&shown);
}

/* ---- others ---------------------------------------------------------------------------------------------- */

static void rawjson_is_what_buildkit_writes(UNUSED void **state)
{
	struct build_progress *p = start(BUILD_PROGRESS_RAWJSON, 0, 0, false);

	begin(p, 1, "RUN \"a\" && b");
	now += 500 * MS;
	log_text(p, 1, "hi\n");
	status(p, 1, "sha256:aa", 5, 10, false);
	warning(p, "Rule", "text", 3, NULL);
	end(p, 1, 0);
	finish(p, false,
	       "{\"vertexes\":[{\"digest\":\"sha256:e4ad5fdc93c82e742e8e58608cf8c331d150b36df12c27b1b52f333d9e1a4b65\","
	       "\"name\":\"RUN \\\"a\\\" \\u0026\\u0026 b\","
	       "\"started\":\"2025-11-24T16:00:00Z\"}]}\n"
	       "{\"logs\":[{\"vertex\":\"sha256:e4ad5fdc93c82e742e8e58608cf8c331d150b36df12c27b1b52f333d9e1a4b65\","
	       "\"stream\":1,\"data\":\"aGkK\",\"timestamp\":\"2025-11-24T16:00:00."
	       "5Z\"}]}"
	       "\n"
	       "{\"statuses\":[{\"id\":\"sha256:aa\",\"vertex\":\"sha256:"
	       "e4ad5fdc93c82e742e8e58608cf8c331d150b36df12c27b1b52f333d9e1a4b65\",\"total\":10,"
	       "\"current\":5,"
	       "\"timestamp\":\"2025-11-24T16:00:00.5Z\",\"started\":\"2025-11-24T16:00:00.5Z\"}]}\n"
	       "{\"warnings\":[{\"level\":1,\"short\":\"UnVsZTogdGV4dCAobGluZSAzKQ==\",\"detail\":[\"\"],\"url\":\"\","
	       "\"range\":[{\"start\":{\"line\":3},\"end\":{\"line\":3}}]}]}\n"
	       "{\"vertexes\":[{\"digest\":\"sha256:e4ad5fdc93c82e742e8e58608cf8c331d150b36df12c27b1b52f333d9e1a4b65\","
	       "\"name\":\"RUN \\\"a\\\" \\u0026\\u0026 b\","
	       "\"started\":\"2025-11-24T16:00:00Z\",\"completed\":\"2025-11-24T16:00:00.5Z\"}]}\n");
}

static void quiet_tells_only_where_it_failed(UNUSED void **state)
{
	struct build_progress *p = start(BUILD_PROGRESS_QUIET, 0, 0, false);

	begin(p, 1, "a");
	log_text(p, 1, "text\n");
	step(p, 1, "", IMAGED__V1__STEP__STATE__STATE_FAILED, "no");
	warning(p, "", "", 2, "Dockerfile:2\n");
	finish(p, true, "Dockerfile:2\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_is_what_docker_prints),
		cmocka_unit_test(plain_numbers_steps_as_they_are_printed),
		cmocka_unit_test(plain_switches_to_whom_has_waited),
		cmocka_unit_test(plain_ends_with_what_failed),
		cmocka_unit_test(plain_tells_warnings_twice),
		cmocka_unit_test(plain_keeps_up_with_a_flood),
		cmocka_unit_test(nothing_that_is_told_speaks_to_a_terminal),
		cmocka_unit_test(a_log_on_a_terminal_keeps_its_colours),
		cmocka_unit_test(tty_is_what_docker_draws),
		cmocka_unit_test(tty_leaves_out_what_does_not_fit),
		cmocka_unit_test(tty_begins_each_stage_with_its_first_step),
		cmocka_unit_test(tty_fits_every_width),
		cmocka_unit_test(tty_goes_on_below_what_others_wrote),
		cmocka_unit_test(rawjson_is_what_buildkit_writes),
		cmocka_unit_test(quiet_tells_only_where_it_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
