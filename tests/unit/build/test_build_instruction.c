/* Instructions, each applied to an empty configuration: what the configuration is then,
 * or what is said. */
#include "tests/unit/build/unit.h"

#include "service/build/apply.h"
#include "service/build/duration.h"
#include "service/build/ports.h"
#include "service/build/signal_name.h"

static int apply_all(const char *text, struct build_stage *stage, struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	struct place place;
	struct tree tree;
	int r;

	arena_init(&a, DOCKERFILE_ARENA_MAX);
	r = tree_parse(bytes_of(text), &a, &tree, &place, err);
	for (size_t i = 0; r == OK && i < tree.n; i++) {
		struct instruction instruction;

		r = instruction_of(&tree.nodes[i], tree.escape, &a, &instruction, err);
		if (r == OK)
			r = instruction_apply(&instruction, stage, err);
	}
	return r;
}

static struct build_stage stage_of(struct image_config *image)
{
	struct build_stage stage;

	stage_init(&stage, image, '\\');
	return stage;
}

/* The configuration as JSON without what is always in it; or the error. */
static void outcome(const char *text, struct buf *out)
{
	CLEANUP(image_config_free) struct image_config image = { .n_history = 0 };
	CLEANUP(image_config_free) struct image_config again = { .n_history = 0 };
	struct build_stage stage = stage_of(&image);
	struct err err = ERR_INIT;

	if (apply_all(text, &stage, &err) < 0) {
		assert_int_equal(err.code, E_INVALID);
		buf_puts(out, err.text);
		return;
	}
	assert_int_equal(image_config_write(&image, out, &err), OK);
	assert_int_equal(image_config_parse(buf_bytes(out), &again, &err), OK);
}

struct row {
	const char *text, *outcome;
};

#define CONFIG(members) "{\"config\":{" members "},\"rootfs\":{\"diff_ids\":[],\"type\":\"layers\"}}"

static void check(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(CONFIG_BYTES_MAX);

		outcome(rows[i].text, &out);
		check_row(rows[i].outcome, buf_text(&out), rows[i].text);
	}
}

#define JSON_STRINGS_ONLY "when using JSON array syntax, arrays must be comprised of strings only"

static void cmd_and_entrypoint(void **state)
{
	static const struct row rows[] = {
		{ "CMD [\"/a\"]", CONFIG("\"Cmd\":[\"/a\"]") },
		{ "cmd  [ \"/a\" , \"b c\" ] ", CONFIG("\"Cmd\":[\"/a\",\"b c\"]") },
		{ "CMD [\"\\u0041\\/\\b\"]", CONFIG("\"Cmd\":[\"A/\\b\"]") },
		{ "CMD echo $A \"x\"", CONFIG("\"Cmd\":[\"/bin/sh\",\"-c\",\"echo $A \\\"x\\\"\"]") },
		{ "CMD ['/a']", CONFIG("\"Cmd\":[\"/bin/sh\",\"-c\",\"['/a']\"]") },
		{ "CMD [\"a\",]", CONFIG("\"Cmd\":[\"/bin/sh\",\"-c\",\"[\\\"a\\\",]\"]") },
		{ "CMD [\"a\"] b", CONFIG("\"Cmd\":[\"/bin/sh\",\"-c\",\"[\\\"a\\\"] b\"]") },
		{ "CMD [1]", JSON_STRINGS_ONLY },
		{ "CMD []", CONFIG("\"Cmd\":[]") },
		{ "CMD", CONFIG("\"Cmd\":[\"/bin/sh\",\"-c\"]") },
		{ "CMD a\nCMD [\"b\"]", CONFIG("\"Cmd\":[\"b\"]") },
		{ "CMD --x a", "unknown flag: --x" },
		{ "CMD -x a", CONFIG("\"Cmd\":[\"/bin/sh\",\"-c\",\"-x a\"]") },
		{ "CMD -- --x", CONFIG("\"Cmd\":[\"/bin/sh\",\"-c\",\"--x\"]") },
		{ "ENTRYPOINT [\"/e\"]", CONFIG("\"Entrypoint\":[\"/e\"]") },
		{ "ENTRYPOINT e x", CONFIG("\"Entrypoint\":[\"/bin/sh\",\"-c\",\"e x\"]") },
		{ "ENTRYPOINT []", CONFIG("") },
		{ "ENTRYPOINT e\nENTRYPOINT", CONFIG("") },
		{ "ENTRYPOINT [2]", JSON_STRINGS_ONLY },
		{ "CMD [\"c\"]\nENTRYPOINT [\"e\"]", CONFIG("\"Cmd\":[\"c\"],\"Entrypoint\":[\"e\"]") },
		{ "CMD []\nENTRYPOINT [\"e\"]", CONFIG("\"Entrypoint\":[\"e\"]") },
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
}

static void inherited_command(void **state)
{
	CLEANUP(image_config_free) struct image_config image = { .n_history = 0 };
	struct build_stage stage = stage_of(&image);
	struct err err = ERR_INIT;
	struct bytes json = bytes_of("{\"config\":{\"Cmd\":[\"old\"],\"Shell\":[\"/bin/bash\",\"-xc\"],\"Env\":"
				     "[\"A=base\"],\"WorkingDir\":\"/srv\"},\"rootfs\":{\"type\":\"layers\"}}");

	(void)state;
	assert_int_equal(image_config_parse(json, &image, &err), OK);
	assert_int_equal(apply_all("ENTRYPOINT run $A\nWORKDIR $A\nENV B=$A", &stage, &err), OK);
	assert_false(image.config.cmd.present);
	assert_string_equal(image.config.entrypoint.items[0], "/bin/bash");
	assert_string_equal(image.config.entrypoint.items[2], "run $A");
	assert_string_equal(image.config.working_dir, "/srv/base");
	assert_string_equal(image.config.env.items[1], "B=base");
}

static void env_and_label(void **state)
{
	static const struct row rows[] = {
		{ "ENV a=b", CONFIG("\"Env\":[\"a=b\"]") },
		{ "ENV a=b c=d", CONFIG("\"Env\":[\"a=b\",\"c=d\"]") },
		{ "ENV a=", CONFIG("\"Env\":[\"a=\"]") },
		{ "ENV a=''", CONFIG("\"Env\":[\"a=\"]") },
		{ "ENV a=b=c", CONFIG("\"Env\":[\"a=b=c\"]") },
		{ "ENV a=\"b c\" d='e f' g=h\\ i", CONFIG("\"Env\":[\"a=b c\",\"d=e f\",\"g=h i\"]") },
		{ "ENV a=\"b\\\"c\"", CONFIG("\"Env\":[\"a=b\\\"c\"]") },
		{ "ENV a=b\\", CONFIG("\"Env\":[\"a=b\"]") },
		{ "ENV a b  c", CONFIG("\"Env\":[\"a=b  c\"]") },
		{ "ENV a   b", CONFIG("\"Env\":[\"a=b\"]") },
		{ "ENV a b=c", CONFIG("\"Env\":[\"a=b=c\"]") },
		{ "ENV a \"b c\"", CONFIG("\"Env\":[\"a=b c\"]") },
		{ "ENV a=1\nENV b=2 a=3", CONFIG("\"Env\":[\"a=3\",\"b=2\"]") },
		{ "ENV aa=1\nENV a=2", CONFIG("\"Env\":[\"aa=1\",\"a=2\"]") },
		{ "ENV a=1\nENV a=2 b=$a", CONFIG("\"Env\":[\"a=2\",\"b=1\"]") },
		{ "ENV a=1\nENV b=$a c='$a' d=\\$a e=${a:-x}${z:-y}",
		  CONFIG("\"Env\":[\"a=1\",\"b=1\",\"c=$a\",\"d=$a\",\"e=1y\"]") },
		{ "ENV k=n\nENV $k=v", CONFIG("\"Env\":[\"k=n\",\"n=v\"]") },
		{ "ENV", "ENV requires at least one argument" },
		{ "ENV a", "ENV must have two arguments" },
		{ "ENV a=b c", "Syntax error - can't find = in \"c\". Must be of the form: name=value" },
		{ "ENV =b", "ENV names can not be blank" },
		{ "ENV a=b =c", "ENV names can not be blank" },
		{ "ENV $no=v", "ENV names can not be blank or hold a =" },
		{ "ENV a=\"b",
		  "failed to process \"\\\"b\": unexpected end of statement while looking for matching double-quote" },
		{ "ENV --x a=b", "unknown flag: --x" },
		{ "LABEL a=b", CONFIG("\"Labels\":{\"a\":\"b\"}") },
		{ "LABEL z=1 \"a b\"=\"c d\"\nLABEL z=2", CONFIG("\"Labels\":{\"a b\":\"c d\",\"z\":\"2\"}") },
		{ "LABEL a b c", CONFIG("\"Labels\":{\"a\":\"b c\"}") },
		{ "ENV v=x\nLABEL a=$v $v=y", CONFIG("\"Env\":[\"v=x\"],\"Labels\":{\"a\":\"x\",\"x\":\"y\"}") },
		{ "LABEL", "LABEL requires at least one argument" },
		{ "LABEL a", "LABEL must have two arguments" },
		{ "LABEL a=b c", "Syntax error - can't find = in \"c\". Must be of the form: name=value" },
		{ "LABEL =b", "LABEL names can not be blank" },
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
}

#define PORTS(members) CONFIG("\"ExposedPorts\":{" members "}")

static void expose(void **state)
{
	static const struct row rows[] = {
		{ "EXPOSE 80", PORTS("\"80/tcp\":{}") },
		{ "EXPOSE 80/UDP", PORTS("\"80/udp\":{}") },
		{ "EXPOSE 80/", PORTS("\"80/tcp\":{}") },
		{ "EXPOSE 5/sctp", PORTS("\"5/sctp\":{}") },
		{ "EXPOSE 443 80 80/tcp", PORTS("\"443/tcp\":{},\"80/tcp\":{}") },
		{ "EXPOSE 9-11/udp", PORTS("\"10/udp\":{},\"11/udp\":{},\"9/udp\":{}") },
		{ "EXPOSE 80\nEXPOSE 22", PORTS("\"22/tcp\":{},\"80/tcp\":{}") },
		{ "EXPOSE 127.0.0.1:8080:80", PORTS("\"80/tcp\":{}") },
		{ "EXPOSE [::1]:1-2:3-4/udp", PORTS("\"3/udp\":{},\"4/udp\":{}") },
		{ "EXPOSE 8080:80", PORTS("\"80/tcp\":{}") },
		{ "EXPOSE 1-5:80", PORTS("\"80/tcp\":{}") },
		{ "EXPOSE 1.2.3.4::80", PORTS("\"80/tcp\":{}") },
		{ "EXPOSE ::80", PORTS("\"80/tcp\":{}") },
		{ "EXPOSE x", "invalid containerPort: x" },
		{ "EXPOSE 65536", "invalid containerPort: 65536" },
		{ "EXPOSE 5-4", "invalid containerPort: 5-4" },
		{ "EXPOSE -1", "invalid containerPort: -1" },
		{ "EXPOSE 80/x", "invalid port: \"80/x\": invalid proto: x" },
		{ "EXPOSE /tcp", "invalid port: \"/tcp\": no port specified" },
		{ "EXPOSE a:80", "invalid hostPort: a" },
		{ "EXPOSE a:1:80", "invalid IP address: a" },
		{ "EXPOSE 1-2:3-5", "invalid ranges specified for container and host Ports: 3-5 and 1-2" },
		{ "EXPOSE", "EXPOSE requires at least one argument" },
		{ "EXPOSE --x 80", "unknown flag: --x" },
		{ "EXPOSE $none", CONFIG("") },
	};
	static const struct row expanded = { "ENV P=\"80 443\" Q=81\nEXPOSE $P ${Q}/udp",
					     CONFIG("\"Env\":[\"P=80 443\",\"Q=81\"],\"ExposedPorts\":"
						    "{\"443/tcp\":{},\"80/tcp\":{},\"81/udp\":{}}") };

	(void)state;
	check(rows, ARRAY_LEN(rows));
	check(&expanded, 1);
}

static void volume(void **state)
{
	static const struct row rows[] = {
		{ "VOLUME /b /a", CONFIG("\"Volumes\":{\"/a\":{},\"/b\":{}}") },
		{ "VOLUME [\"/a b\", \"/c\"]", CONFIG("\"Volumes\":{\"/a b\":{},\"/c\":{}}") },
		{ "VOLUME [\"/a\"", CONFIG("\"Volumes\":{\"[/a\":{}}") },
		{ "VOLUME /a\nVOLUME /a /b", CONFIG("\"Volumes\":{\"/a\":{},\"/b\":{}}") },
		{ "ENV d=/x\nVOLUME $d \"$d\"/y", CONFIG("\"Env\":[\"d=/x\"],\"Volumes\":{\"/x\":{},\"/x/y\":{}}") },
		{ "VOLUME", "VOLUME requires at least one argument" },
		{ "VOLUME []", "VOLUME requires at least one argument" },
		{ "VOLUME [\" \"]", "VOLUME specified can not be an empty string" },
		{ "VOLUME [\"/a\", 1]", JSON_STRINGS_ONLY },
		{ "VOLUME $no", "VOLUME specified can not be an empty string" },
		{ "VOLUME --x /a", "unknown flag: --x" },
		{ "VOLUME --x [\"/a\"]", "unknown flag: --x" },
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
}

#define HEALTH(members) CONFIG("\"Healthcheck\":{" members "}")

static void healthcheck(void **state)
{
	static const struct row rows[] = {
		{ "HEALTHCHECK NONE", HEALTH("\"Test\":[\"NONE\"]") },
		{ "healthcheck none", HEALTH("\"Test\":[\"NONE\"]") },
		{ "HEALTHCHECK CMD a b", HEALTH("\"Test\":[\"CMD-SHELL\",\"a b\"]") },
		{ "HEALTHCHECK cmd [\"a\",\"b\"]", HEALTH("\"Test\":[\"CMD\",\"a\",\"b\"]") },
		{ "HEALTHCHECK --interval=1m30s --timeout=0.5s --start-period=2ms --start-interval=1h --retries=3 CMD "
		  "a",
		  HEALTH("\"Interval\":90000000000,\"Retries\":3,\"StartInterval\":3600000000000,"
			 "\"StartPeriod\":2000000,\"Test\":[\"CMD-SHELL\",\"a\"],\"Timeout\":500000000") },
		{ "HEALTHCHECK --interval=0s --retries=0 --timeout= CMD a", HEALTH("\"Test\":[\"CMD-SHELL\",\"a\"]") },
		{ "HEALTHCHECK --interval=\"5s\" CMD a",
		  HEALTH("\"Interval\":5000000000,\"Test\":[\"CMD-SHELL\",\"a\"]") },
		{ "HEALTHCHECK --interval=1s CMD a\nHEALTHCHECK CMD b", HEALTH("\"Test\":[\"CMD-SHELL\",\"b\"]") },
		{ "HEALTHCHECK", "HEALTHCHECK requires at least one argument" },
		{ "HEALTHCHECK NONE a", "HEALTHCHECK NONE takes no arguments" },
		{ "HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD" },
		{ "HEALTHCHECK CMD []", "Missing command after HEALTHCHECK CMD" },
		{ "HEALTHCHECK CMD [1]", JSON_STRINGS_ONLY },
		{ "HEALTHCHECK foo a", "Unknown type \"FOO\" in HEALTHCHECK (try CMD)" },
		{ "HEALTHCHECK --interval=1us CMD a", "Interval \"interval\" cannot be less than 1ms" },
		{ "HEALTHCHECK --timeout=-1s CMD a", "Interval \"timeout\" cannot be less than 1ms" },
		{ "HEALTHCHECK --interval=5 CMD a", "time: missing unit in duration \"5\"" },
		{ "HEALTHCHECK --interval=x CMD a", "time: invalid duration \"x\"" },
		{ "HEALTHCHECK --retries=-1 CMD a", "--retries cannot be negative (-1)" },
		{ "HEALTHCHECK --retries=x CMD a", "strconv.ParseInt: parsing \"x\": invalid syntax" },
		{ "HEALTHCHECK --retries=99999999999 CMD a",
		  "strconv.ParseInt: parsing \"99999999999\": invalid syntax" },
		{ "HEALTHCHECK --retries=1 --retries=2 CMD a", "duplicate flag specified: --retries" },
		{ "HEALTHCHECK --retries CMD a", "missing a value on flag: --retries" },
		{ "HEALTHCHECK --nope=1 CMD a", "unknown flag: --nope" },
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
}

static void texts(void **state)
{
	static const struct row rows[] = {
		{ "USER me", CONFIG("\"User\":\"me\"") },
		{ "ENV u=1\nUSER $u:2", CONFIG("\"Env\":[\"u=1\"],\"User\":\"1:2\"") },
		{ "USER", "USER requires exactly one argument" },
		{ "WORKDIR /a", CONFIG("\"WorkingDir\":\"/a\"") },
		{ "WORKDIR /a/../b//c/./", CONFIG("\"WorkingDir\":\"/b/c\"") },
		{ "WORKDIR /..", CONFIG("\"WorkingDir\":\"/\"") },
		{ "WORKDIR a", CONFIG("\"WorkingDir\":\"/a\"") },
		{ "WORKDIR /a\nWORKDIR b\nWORKDIR ../c d", CONFIG("\"WorkingDir\":\"/a/c d\"") },
		{ "ENV d=x\nWORKDIR /$d", CONFIG("\"Env\":[\"d=x\"],\"WorkingDir\":\"/x\"") },
		{ "WORKDIR $no", "cannot normalize nothing" },
		{ "WORKDIR", "WORKDIR requires exactly one argument" },
		{ "STOPSIGNAL SIGTERM", CONFIG("\"StopSignal\":\"SIGTERM\"") },
		{ "STOPSIGNAL 9", CONFIG("\"StopSignal\":\"9\"") },
		{ "STOPSIGNAL rtmin+3", CONFIG("\"StopSignal\":\"rtmin+3\"") },
		{ "STOPSIGNAL nope", "invalid signal: nope" },
		{ "STOPSIGNAL 0", "invalid signal: 0" },
		{ "STOPSIGNAL", "STOPSIGNAL requires exactly one argument" },
		{ "ONBUILD RUN a $b", CONFIG("\"OnBuild\":[\"RUN a $b\"]") },
		{ "ONBUILD  ENV a=b \nONBUILD COPY . .", CONFIG("\"OnBuild\":[\"ENV a=b \",\"COPY . .\"]") },
		{ "ONBUILD", "ONBUILD requires at least one argument" },
		{ "ONBUILD onbuild RUN a", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed" },
		{ "ONBUILD from x", "FROM isn't allowed as an ONBUILD trigger" },
		{ "ONBUILD MAINTAINER x", "MAINTAINER isn't allowed as an ONBUILD trigger" },
		{ "ONBUILD ENV a", "ENV must have two arguments" },
		{ "MAINTAINER Me <me@x> $a",
		  "{\"author\":\"Me <me@x> $a\",\"config\":{},\"rootfs\":{\"diff_ids\":[],\"type\":\"layers\"}}" },
		{ "MAINTAINER", "MAINTAINER requires exactly one argument" },
		{ "CMDx", "unknown instruction: CMDx (did you mean cmd?)" },
		{ "USER --x me", "unknown flag: --x" },
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
}

static void values_are_bounded_together(void **state)
{
	CLEANUP(image_config_free) struct image_config image = { .n_history = 0 };
	CLEANUP(buf_free) struct buf text = BUF_INIT(1024 * 1024);
	struct build_stage stage = stage_of(&image);
	struct err err = ERR_INIT;

	(void)state;
	buf_puts(&text, "ENV a=0123456789abcdef\n");
	for (int i = 0; i < 16; i++)
		buf_puts(&text, "ENV a=$a$a\n");
	assert_int_equal(apply_all(buf_text(&text), &stage, &err), OK);
	for (int i = 0; i < 100; i++)
		buf_printf(&text, "ENV b%d=$a\n", i);
	assert_int_equal(apply_all(buf_text(&text), &stage, &err), E_LIMIT);
}

/* Wherever in a line the limit is passed: to search costs as well. */
static void many_variables_of_one_line_are_bounded(void **state)
{
	(void)state;
	for (int pad = 0; pad < 250; pad += 37) {
		CLEANUP(image_config_free) struct image_config image = { .n_history = 0 };
		CLEANUP(buf_free) struct buf text = BUF_INIT(1024 * 1024);
		struct build_stage stage = stage_of(&image);
		struct err err = ERR_INIT;

		for (int i = 0; i < 800; i++)
			buf_printf(&text, "ENV e%d=\n", i);
		buf_printf(&text, "ENV pad=%0*d\nLABEL z=", pad, 0);
		for (int i = 0; i < 200000; i++)
			buf_puts(&text, i % 2 ? "$e1" : "${e1}");
		assert_int_equal(apply_all(buf_text(&text), &stage, &err), E_LIMIT);
	}
}

static void lists_are_bounded(void **state)
{
	CLEANUP(image_config_free) struct image_config image = { .n_history = 0 };
	struct build_stage stage = stage_of(&image);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(apply_all("EXPOSE 5 3 4 1\nEXPOSE 2 5 3", &stage, &err), OK);
	assert_int_equal(image.config.exposed_ports.n, 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(image.config.exposed_ports.items[i][0], '1' + i);
	assert_int_equal(apply_all("EXPOSE 1-10000", &stage, &err), OK);
	assert_int_equal(image.config.exposed_ports.n, 10000);
	assert_int_equal(apply_all("EXPOSE 10001", &stage, &err), E_LIMIT);
	assert_int_equal(image.config.exposed_ports.n, 10000);
}

static void durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = {
		{ "0", 0 },
		{ "1ns", 1 },
		{ "-1.5h", -5400000000000 },
		{ "+5s", 5000000000 },
		{ ".5s", 500000000 },
		{ "1.s", 1000000000 },
		{ "1h2m3s4ms5us6ns", 3723004005006 },
		{ "3\xc2\xb5s", 3000 },
		{ "2562047h47m16.854775807s", INT64_MAX },
		{ "-9223372036854775808ns", INT64_MIN },
	};
	static const char *const bad[] = { "",	  "-",	  "s",	  ".s",
					   "1",	  "1x",	  "1s2",  "9223372036854775808ns",
					   "1 s", "1e3s", "+-1s", "99999999999h" };
	int64_t ns;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(duration_parse(good[i].text, &ns, NULL), OK);
		if (ns != good[i].ns)
			check_row(good[i].text, "another value", good[i].text);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (duration_parse(bad[i], &ns, NULL) != E_INVALID)
			check_row("an error", "none", bad[i]);
}

static void signals(void **state)
{
	static const char *const good[] = { "SIGKILL", "kill",	"SigUsr1",     "1",	  "64",
					    "-3",      "RTMIN", "SIGRTMIN+15", "rtmax-14" };
	static const char *const bad[] = { "",	       "SIG", "0",     "SIGRTMIN+16", "RTMAX-15",   "RTMIN-1",
					   "RTMIN+01", "9x",  "KILLS", " 9",	      "99999999999" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (signal_name_check(good[i], NULL) != OK)
			check_row("a signal", "none", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (signal_name_check(bad[i], NULL) != E_INVALID)
			check_row("no signal", "one", bad[i]);
}

static int parse_one(const char *line, struct arena *a, struct instruction *ret_instruction)
{
	struct node *n = arena_alloc(a, sizeof *n);
	int r = n ? node_parse(bytes_of(line), '\\', a, n, NULL) : E_NO_MEMORY;

	return r == OK ? instruction_of(n, '\\', a, ret_instruction, NULL) : r;
}

static void full_arena_is_an_error(void **state)
{
	static const char *const lines[] = { "ENV a=b c=d",
					     "LABEL a b",
					     "CMD [\"a\",\"b\"]",
					     "CMD a",
					     "VOLUME /a",
					     "EXPOSE 1 2",
					     "HEALTHCHECK --retries=1 CMD a",
					     "USER u" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct instruction instruction;
		int r = E_NO_MEMORY;

		for (size_t cap = 0; r == E_NO_MEMORY; cap += 16) {
			CLEANUP(arena_free) struct arena a;

			assert_true(cap < 4096);
			arena_init(&a, cap);
			r = parse_one(lines[i], &a, &instruction);
			assert_true(cap || r == E_NO_MEMORY);
		}
		assert_int_equal(r, OK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cmd_and_entrypoint),
		cmocka_unit_test(inherited_command),
		cmocka_unit_test(env_and_label),
		cmocka_unit_test(expose),
		cmocka_unit_test(volume),
		cmocka_unit_test(healthcheck),
		cmocka_unit_test(texts),
		cmocka_unit_test(values_are_bounded_together),
		cmocka_unit_test(many_variables_of_one_line_are_bounded),
		cmocka_unit_test(lists_are_bounded),
		cmocka_unit_test(durations),
		cmocka_unit_test(signals),
		cmocka_unit_test(full_arena_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
