#include "client/cli/global_flags.h"

#define OPTION(member) offsetof(struct global_options, member)

/* clang-format off */
const struct flag global_flags[N_GLOBAL_FLAGS] = {
	{ "config", 0, FLAG_STRING, OPTION(config_dir), "Location of client config files", NULL },
	{ "context", 'c', FLAG_STRING, OPTION(context),
	  "Name of a context of docker that has the address of the daemon (overrides IMAGED_HOST and DOCKER_CONTEXT)", NULL },
	{ "debug", 'D', FLAG_BOOL, OPTION(debug), "Enable debug mode", NULL },
	{ "host", 'H', FLAG_STRING_ONCE, OPTION(host),
	  "Address of the daemon, unix:///PATH or tcp://HOST:PORT (default is IMAGED_HOST, or its local socket)", NULL },
	{ "log-level", 'l', FLAG_STRING, OPTION(log_level),
	  "Set the logging level (\"debug\", \"info\", \"warn\", \"error\", \"fatal\")", "\"info\"" },
	{ "tls", 0, FLAG_BOOL, OPTION(tls), "Use TLS; implied by --tlsverify", NULL },
	{ "tlscacert", 0, FLAG_STRING, OPTION(tlscacert), "Trust certs signed only by this CA", NULL },
	{ "tlscert", 0, FLAG_STRING, OPTION(tlscert), "Path to TLS certificate file", NULL },
	{ "tlskey", 0, FLAG_STRING, OPTION(tlskey), "Path to TLS key file", NULL },
	{ "tlsverify", 0, FLAG_BOOL, OPTION(tlsverify), "Use TLS and verify the remote", NULL },
	{ "version", 'v', FLAG_BOOL, OPTION(version), "Print version information and quit", NULL },
};
/* clang-format on */

static bool is_log_level(const char *level)
{
	static const char *const levels[] = { "panic", "fatal", "error", "warn", "warning", "info", "debug", "trace" };

	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		if (!strcasecmp(levels[i], level))
			return true;
	return false;
}

int global_flags_check(const struct global_options *o, struct err *err)
{
	if (o->log_level && *o->log_level && !is_log_level(o->log_level))
		return fail(err, E_UNKNOWN, "Unable to parse logging level: %s", o->log_level);
	if (o->host && o->context)
		return fail(err, E_UNKNOWN, "conflicting options: cannot specify both --host and --context");
	return OK;
}
