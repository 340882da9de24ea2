#include <fcntl.h>
#include <jansson.h>

#include "client/cli/build/exchange.h"
#include "client/cli/commands/commands.h"
#include "client/cli/file_error.h"
#include "client/cli/format/plain_text.h"
#include "client/cli/progress_mode.h"
#include "proto/runtime/clock.h"

struct build {
	struct cli *cli;
	const struct build_options *options;
	const char *call; /* of BuildStart; "" */
	struct build_progress *progress;
	bool is_json;
	struct build_result result;
};

/* ---- progress ------------------------------------------------------------------------------------------ */

static void write_progress(UNUSED void *arg, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		ssize_t n = write(STDERR_FILENO, at, len);

		if (n < 0 && errno != EINTR)
			return;
		at += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

static bool is_terminal(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && terminal_width(STDERR_FILENO) && (!term || strcmp(term, "dumb") != 0);
}

static int choose_mode(const struct build_options *o, enum build_progress_mode *ret_mode, struct err *err)
{
	static const struct {
		const char *name;
		enum build_progress_mode mode;
	} modes[] = {
		{ "plain", BUILD_PROGRESS_PLAIN },     { "tty", BUILD_PROGRESS_TTY },
		{ "rawjson", BUILD_PROGRESS_RAWJSON }, { "quiet", BUILD_PROGRESS_QUIET },
		{ "none", BUILD_PROGRESS_QUIET },      { "json", BUILD_PROGRESS_JSON },
	};
	const char *name = o->progress ? o->progress : getenv("BUILDKIT_PROGRESS");
	bool is_auto = !name || !*name || !strcmp(name, "auto");

	if (o->quiet && !is_auto && o->progress && strcmp(name, "quiet") != 0)
		return fail(err, E_INVALID, "progress=%.64s and quiet cannot be used together", name);
	*ret_mode = o->quiet ? BUILD_PROGRESS_QUIET : is_terminal() ? BUILD_PROGRESS_TTY : BUILD_PROGRESS_PLAIN;
	if (is_auto || o->quiet)
		return OK;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		if (!strcmp(modes[i].name, name)) {
			*ret_mode = modes[i].mode;
			return *ret_mode == BUILD_PROGRESS_TTY && !terminal_width(STDERR_FILENO)
				       ? fail(err, E_INVALID, "failed to get console: provided file is not a console")
				       : OK;
		}
	return fail(err, E_INVALID, "invalid progress mode %.64s", name);
}

static int open_progress(struct build *b, enum build_progress_mode mode, struct err *err)
{
	const char *no_color = getenv("NO_COLOR");
	bool docker = cli_is_docker(b->cli);
	const struct build_progress_options options = {
		.mode = mode,
		.title = docker ? "building with \"default\" instance using docker driver"
				: "building with \"default\" instance using imaged driver",
		.driver = docker ? "docker:default" : "imaged:default",
		.expand = b->options->debug || b->cli->global.debug ? NULL
			  : docker				    ? "use docker --debug to expand"
								    : "use build --debug to expand",
		.width = terminal_width(STDERR_FILENO),
		.height = terminal_height(STDERR_FILENO),
		.colours = !no_color || !*no_color,
		.is_terminal = isatty(STDERR_FILENO),
		.write = write_progress,
	};

	return build_progress_new(&options, &b->progress, err);
}

/* ---- what docker's client finds out by itself, but shows as steps ------------------------------------- */

static void show_step(struct build *b, Imaged__V1__Step__State state, const char *name)
{
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;
	Imaged__V1__Step step = IMAGED__V1__STEP__INIT;

	step.number = 1;
	step.name = (char *)name;
	step.state = state;
	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_STEP;
	event.step = &step;
	build_progress_event(b->progress, &event, clock_wall_ns(), NULL);
}

static void show_transfer(struct build *b, int64_t bytes)
{
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;
	Imaged__V1__StepProgress progress = IMAGED__V1__STEP_PROGRESS__INIT;

	progress.step = 1;
	progress.what = (char *)"transferring dockerfile:";
	progress.current = bytes;
	progress.done = bytes > 0;
	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_PROGRESS;
	event.progress = &progress;
	build_progress_event(b->progress, &event, clock_wall_ns(), NULL);
}

/* There is no Dockerfile: nothing to ask a service for. `bytes`: of the answer that says so. */
static int fail_dockerfile(struct build *b, const struct build_sources *s, struct err *err)
{
	CLEANUP(freep) char *name = format("[internal] load build definition from %s", s->dockerfile_name);
	int64_t bytes = s->is_empty ? 0 : 2;

	if (!name)
		return fail_nomem(err);
	show_step(b, IMAGED__V1__STEP__STATE__STATE_RUNNING, name);
	show_transfer(b, bytes);
	show_step(b, s->is_empty ? IMAGED__V1__STEP__STATE__STATE_FAILED : IMAGED__V1__STEP__STATE__STATE_DONE, name);
	if (s->is_empty)
		return fail(err, E_NOT_FOUND, "failed to read dockerfile: no local sources enabled");
	return fail(err, E_NOT_FOUND, "failed to read dockerfile: open %.256s: no such file or directory",
		    s->dockerfile_name);
}

/* ---- the build ----------------------------------------------------------------------------------------- */

static int execute(struct build *b, struct build_request *q, bool *ret_is_own, struct err *err)
{
	struct rpc_channel *channel;
	int r;

	*ret_is_own = false;
	if (q->sources.dockerfile_is_missing || q->sources.is_empty)
		return fail_dockerfile(b, &q->sources, err);
	r = cli_channel(b->cli, &channel, err);
	if (r == OK)
		r = build_exchange(channel, q, b->progress, &b->result, ret_is_own, err);
	if (r < 0)
		cli_explain(b->cli, err);
	if (r < 0)
		return r;
	*ret_is_own = true;
	return *b->call ? OK : build_outputs_finish(&q->outputs, err);
}

/* ---- what is left behind -------------------------------------------------------------------------------- */

static int write_file(const char *path, const char *text, struct err *err)
{
	CLEANUP(closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	size_t len = strlen(text);

	if (fd < 0)
		return fail_file(err, "open", path);
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_file(err, "write", path);
		text += n;
		len -= (size_t)n;
	}
	return close(take_fd(&fd)) < 0 ? fail_file(err, "close", path) : OK;
}

/* As docker indents it. */
static int write_metadata(const struct build *b, struct err *err)
{
	json_t *json = json_loads(*b->result.metadata ? b->result.metadata : "{}", 0, NULL);
	CLEANUP(freep) char *text = json ? json_dumps(json, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : NULL;

	json_decref(json);
	return write_file(b->options->metadata_file, text ? text : b->result.metadata, err);
}

/* In front of what linters found, for people. */
static void print_count(const struct build *b)
{
	uint32_t n = b->result.warnings;

	if (strcmp(b->call, "check") != 0)
		return;
	if (!n)
		cli_print("Check complete, no warnings found.\n");
	else if (n == 1)
		cli_print("Check complete, 1 warning has been found!\n");
	else
		cli_print("Check complete, %u warnings have been found!\n", n);
}

static int print_report(const struct buf *report, struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(2 * report->len + 1);

	if (!isatty(STDOUT_FILENO)) {
		cli_write(report->data, report->len);
		return OK;
	}
	put_plain(&text, buf_text(report));
	cli_write(text.data, text.len);
	return buf_ok(&text) ? OK : fail_nomem(err);
}

static int leave(struct build *b, struct err *err)
{
	const struct build_options *o = b->options;

	if (*b->call) {
		print_count(b);
		return print_report(&b->result.report, err);
	}
	if (o->iidfile && write_file(o->iidfile, b->result.image_id, err) < 0)
		return err->code;
	if (o->metadata_file && write_metadata(b, err) < 0)
		return err->code;
	if (o->quiet && *b->result.image_id)
		cli_print("%s\n", b->result.image_id);
	return OK;
}

/* ---- the command ----------------------------------------------------------------------------------------- */

static int say(const char *prefix, const struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(2 * sizeof err->text);

	put_plain(&text, err->text);
	cli_warn("ERROR: %s%s\n", prefix, buf_text(&text));
	return 1;
}

static int report(bool is_own, const struct err *err)
{
	if (err->code == E_NO_DAEMON)
		return say("", err);
	if (err->code == E_CANCELLED && signals_told()) {
		say("failed to build: failed to solve: ", err);
		return 128 + signals_told();
	}
	return say(is_own || !strncmp(err->text, "invalid tag", 11) ? "failed to build: "
								    : "failed to build: failed to solve: ",
		   err);
}

static int report_json(const struct err *err)
{
	progress_json_error(progress_stderr, err);
	return err->code == E_CANCELLED && signals_told() ? 128 + signals_told() : 1;
}

static int build(struct build *b, struct build_request *q)
{
	struct err err = ERR_INIT;
	bool is_own;
	int r = execute(b, q, &is_own, &err);

	build_progress_end(b->progress, r < 0, clock_wall_ns());
	if (r == OK) {
		is_own = true;
		r = leave(b, &err);
	}
	if (r < 0)
		return b->is_json ? report_json(&err) : report(is_own, &err);
	return *b->call && !strncmp(b->call, "check", 5) && b->result.warnings;
}

static int choose_call(const struct build_options *o, const char **ret_call, struct err *err)
{
	static const char *const methods[] = { "check", "lint", "outline", "targets" };
	const char *call = o->call ? o->call : "";
	size_t len = strcspn(call, ",");

	*ret_call = o->check ? "check" : "";
	if (!*call || !strcmp(call, "build"))
		return OK;
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (strlen(methods[i]) == len && !strncmp(methods[i], call, len)) {
			*ret_call = !strcmp(call, "lint") ? "check" : call;
			return OK;
		}
	return fail(err, E_INVALID, "invalid method: \"%.64s\" (\"build\", \"check\", \"outline\" or \"targets\")",
		    call);
}

static void warn(const struct build_options *o)
{
	if (o->isolation)
		cli_warn("WARNING: isolation flag is deprecated with BuildKit.\n");
	if (o->security_opt.n)
		cli_warn("WARNING: security-opt flag is deprecated. \"RUN --security=insecure\" should be used with "
			 "BuildKit.\n");
	if (o->squash)
		cli_warn("WARNING: experimental flag squash is removed with BuildKit. You should squash inside build "
			 "using a multi-stage Dockerfile for efficiency.\n");
	if (o->iidfile)
		unlink(o->iidfile); /* what is there is of another build */
}

static int run(struct cli *cli, const void *options, UNUSED int argc, char **argv)
{
	struct build b = { .cli = cli, .options = options };
	CLEANUP(build_request_wipe) struct build_request q = { 0 };
	enum build_progress_mode mode = BUILD_PROGRESS_PLAIN;
	struct err err = ERR_INIT;
	int status;

	if (build_request_flags(&q, b.options, &err) < 0 || choose_mode(b.options, &mode, &err) < 0 ||
	    choose_call(b.options, &b.call, &err) < 0)
		return say("", &err);
	warn(b.options);
	if (build_request_make(&q, cli, b.options, argv[0], &err) < 0)
		return say("failed to build: ", &err);
	q.start.call = (char *)b.call;
	b.is_json = mode == BUILD_PROGRESS_JSON;
	if (open_progress(&b, mode, &err) < 0)
		return say("", &err);
	status = build(&b, &q);
	build_progress_free(b.progress);
	build_result_free(&b.result);
	return status;
}

#define OPTION(member) offsetof(struct build_options, member)

/* clang-format off */
static const struct flag flags[] = {
	{ "add-host", 0, FLAG_STRINGS, OPTION(add_host), "Add a custom host-to-IP mapping (format: \"host:ip\")", NULL },
	{ "allow", 0, FLAG_ARRAY, OPTION(allow),
	  "Allow extra privileged entitlement (e.g., \"network.host\", \"security.insecure\", \"device\")", NULL },
	{ "annotation", 0, FLAG_ARRAY, OPTION(annotation), "Add annotation to the image", NULL },
	{ "attest", 0, FLAG_ARRAY, OPTION(attest),
	  "Attestation parameters (format: \"type=sbom,generator=image\")", NULL },
	{ "build-arg", 0, FLAG_ARRAY, OPTION(build_arg), "Set build-time variables", NULL },
	{ "build-context", 0, FLAG_ARRAY, OPTION(build_context), "Additional build contexts (e.g., name=path)", NULL },
	{ "builder", 0, FLAG_STRING, OPTION(builder), "Override the configured builder instance", NULL },
	{ "cache-from", 0, FLAG_ARRAY, OPTION(cache_from),
	  "External cache sources (e.g., \"user/app:cache\", \"type=local,src=path/to/dir\")", NULL },
	{ "cache-to", 0, FLAG_ARRAY, OPTION(cache_to),
	  "Cache export destinations (e.g., \"user/app:cache\", \"type=local,dest=path/to/dir\")", NULL },
	{ "call", 0, FLAG_STRING, OPTION(call),
	  "Set method for evaluating build (\"check\", \"outline\", \"targets\")", "\"build\"" },
	{ "cgroup-parent", 0, FLAG_STRING, OPTION(cgroup_parent),
	  "Set the parent cgroup for the \"RUN\" instructions during build", NULL },
	{ "check", 0, FLAG_BOOL, OPTION(check), "Shorthand for \"--call=check\"", NULL },
	{ "compress", 0, FLAG_BOOL | FLAG_HIDDEN, OPTION(compress), "Compress the build context using gzip", NULL },
	{ "cpu-period", 0, FLAG_INT | FLAG_OWN, OPTION(cpu_period), "Limit the CPU CFS (Completely Fair Scheduler) period", NULL },
	{ "cpu-quota", 0, FLAG_INT | FLAG_OWN, OPTION(cpu_quota), "Limit the CPU CFS (Completely Fair Scheduler) quota", NULL },
	{ "cpu-shares", 'c', FLAG_INT | FLAG_OWN, OPTION(cpu_shares), "CPU shares (relative weight)", NULL },
	{ "cpuset-cpus", 0, FLAG_STRING | FLAG_OWN, OPTION(cpuset_cpus), "CPUs in which to allow execution (0-3, 0,1)", NULL },
	{ "cpuset-mems", 0, FLAG_STRING | FLAG_OWN, OPTION(cpuset_mems), "MEMs in which to allow execution (0-3, 0,1)", NULL },
	{ "debug", 'D', FLAG_BOOL, OPTION(debug), "Enable debug logging", NULL },
	{ "debug-shell", 0, FLAG_BOOL | FLAG_OWN, OPTION(debug_shell), "Open a shell in a \"RUN\" that fails", NULL },
	{ "disable-content-trust", 0, FLAG_BOOL | FLAG_HIDDEN, OPTION(disable_content_trust),
	  "Skip image verification", NULL },
	{ "explain", 0, FLAG_BOOL | FLAG_OWN, OPTION(explain), "Say of each step what made it run again", NULL },
	{ "file", 'f', FLAG_STRING, OPTION(file), "Name of the Dockerfile (default: \"PATH/Dockerfile\")", NULL },
	{ "force-rm", 0, FLAG_BOOL | FLAG_HIDDEN, OPTION(force_rm), "Always remove intermediate containers", NULL },
	{ "iidfile", 0, FLAG_STRING, OPTION(iidfile), "Write the image ID to a file", NULL },
	{ "isolation", 0, FLAG_STRING | FLAG_HIDDEN, OPTION(isolation), "Container isolation technology", NULL },
	{ "label", 0, FLAG_ARRAY, OPTION(label), "Set metadata for an image", NULL },
	{ "load", 0, FLAG_BOOL, OPTION(load), "Shorthand for \"--output=type=docker\"", NULL },
	{ "memory", 'm', FLAG_BYTES | FLAG_OWN, OPTION(memory), "Memory limit", NULL },
	{ "memory-swap", 0, FLAG_BYTES | FLAG_OWN, OPTION(memory_swap),
	  "Swap limit equal to memory plus swap: -1 to enable unlimited swap", NULL },
	{ "metadata-file", 0, FLAG_STRING, OPTION(metadata_file), "Write build result metadata to a file", NULL },
	{ "network", 0, FLAG_STRING, OPTION(network),
	  "Set the networking mode for the \"RUN\" instructions during build", "\"default\"" },
	{ "no-cache", 0, FLAG_BOOL, OPTION(no_cache), "Do not use cache when building the image", NULL },
	{ "no-cache-filter", 0, FLAG_ARRAY, OPTION(no_cache_filter), "Do not cache specified stages", NULL },
	{ "output", 'o', FLAG_ARRAY, OPTION(output), "Output destination (format: \"type=local,dest=path\")", NULL },
	{ "platform", 0, FLAG_ARRAY, OPTION(platform), "Set target platform for build", NULL },
	{ "print", 0, FLAG_STRING | FLAG_HIDDEN, OPTION(call), "Print result of information request (e.g., outline, targets)",
	  NULL },
	{ "progress", 0, FLAG_STRING, OPTION(progress),
	  "Set type of progress output (\"auto\", \"none\",  \"plain\", \"quiet\", \"rawjson\", \"tty\"). "
	  "Use plain to show container output", "\"auto\"" },
	{ "provenance", 0, FLAG_STRING, OPTION(provenance), "Shorthand for \"--attest=type=provenance\"", NULL },
	{ "pull", 0, FLAG_BOOL, OPTION(pull), "Always attempt to pull all referenced images", NULL },
	{ "push", 0, FLAG_BOOL, OPTION(push), "Shorthand for \"--output=type=registry\"", NULL },
	{ "quiet", 'q', FLAG_BOOL, OPTION(quiet), "Suppress the build output and print image ID on success", NULL },
	{ "rm", 0, FLAG_BOOL | FLAG_HIDDEN, OPTION(rm),
	  "Remove intermediate containers after a successful build", NULL },
	{ "sbom", 0, FLAG_STRING, OPTION(sbom), "Shorthand for \"--attest=type=sbom\"", NULL },
	{ "secret", 0, FLAG_ARRAY, OPTION(secret),
	  "Secret to expose to the build (format: \"id=mysecret[,src=/local/secret]\")", NULL },
	{ "security-opt", 0, FLAG_ARRAY | FLAG_HIDDEN, OPTION(security_opt), "Security options", NULL },
	{ "shm-size", 0, FLAG_BYTES, OPTION(shm_size), "Shared memory size for build containers", NULL },
	{ "squash", 0, FLAG_BOOL | FLAG_HIDDEN, OPTION(squash),
	  "Squash newly built layers into a single new layer", NULL },
	{ "ssh", 0, FLAG_ARRAY, OPTION(ssh),
	  "SSH agent socket or keys to expose to the build (format: \"default|<id>[=<socket>|<key>[,<key>]]\")", NULL },
	{ "tag", 't', FLAG_ARRAY, OPTION(tag), "Name and optionally a tag (format: \"name:tag\")", NULL },
	{ "target", 0, FLAG_STRING, OPTION(target), "Set the target build stage to build", NULL },
	{ "ulimit", 0, FLAG_ULIMIT, OPTION(ulimit), "Ulimit options", "[]" },
};
/* clang-format on */

const struct command_spec spec_build = {
	.usage = "[OPTIONS] PATH | URL | -",
	.summary = "Build an image from a Dockerfile",
	.help = "Start a build",
	.plugin = "buildx build",
	.aliases = "build, builder build, image build, buildx b",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.min_args = 1,
	.max_args = 1,
	.options_size = sizeof(struct build_options),
	.run = run,
};
