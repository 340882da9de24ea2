#include <ctype.h>

#include "client/cli/commands/commands.h"
#include "client/cli/docker_config.h"
#include "client/cli/prompt.h"
#include "imaged/v1/image_service.client.h"

enum { SECRET_MAX = 64 * 1024 };

struct options {
	const char *username, *password;
	bool password_stdin;
};

static int fail_text(const char *text)
{
	cli_warn("%s\n", text);
	return 1;
}

/* ---- asking --------------------------------------------------------------- */

static void wipe_buf(struct buf *b)
{
	if (b->data)
		wipe(b->data, b->cap);
	buf_free(b);
}

static int read_stdin(struct buf *out, struct err *err)
{
	for (;;) {
		void *room = buf_reserve(out, 4096);
		ssize_t n = room ? read(STDIN_FILENO, room, 4096) : 0;

		if (!room)
			return fail(err, E_LIMIT, "the password is longer than %d bytes", SECRET_MAX);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "read the password");
		if (n == 0)
			return OK;
		out->len += (size_t)n;
	}
}

/* Without one line end. */
static char *take_secret(struct buf *b)
{
	size_t len = b->len;

	if (len && b->data[len - 1] == '\n')
		len--;
	if (len && b->data[len - 1] == '\r')
		len--;
	return strndup(b->data ? (const char *)b->data : "", len);
}

static int ask(const char *question, bool echo, char **ret_answer, struct err *err)
{
	CLEANUP(wipe_buf) struct buf line = BUF_INIT(SECRET_MAX);
	int r = prompt_line(question, echo, &line, err);

	if (!echo)
		cli_print("\n");
	if (r)
		return r;
	*ret_answer = take_secret(&line);
	return *ret_answer ? OK : fail_nomem(err);
}

static int ask_username(struct login *l, const char *known, struct err *err)
{
	CLEANUP(freep) char *question = *known ? format("Username (%s): ", known) : strdup("Username: ");
	int r = question ? ask(question, true, &l->username, err) : fail_nomem(err);

	if (r)
		return r;
	if (!*l->username) {
		free(l->username);
		l->username = strdup(known);
	}
	if (!l->username)
		return fail_nomem(err);
	return *l->username ? OK : fail(err, E_UNKNOWN, "Error: Non-null Username Required");
}

/* Fills what flags and stdin have left open. */
static int complete(const struct options *o, const char *known, struct login *l, struct err *err)
{
	int r = OK;

	l->username = o->username ? strdup(o->username) : NULL;
	l->identity_token = strdup("");
	if (!l->identity_token || (o->username && !l->username))
		return fail_nomem(err);
	if (!(o->username && l->password && *l->password) && !prompt_is_possible())
		return fail(err, E_UNKNOWN, "Error: Cannot perform an interactive login from a non TTY device");
	if (!l->username)
		r = ask_username(l, known, err);
	if (!r && !(l->password && *l->password)) {
		free(l->password);
		l->password = NULL;
		r = ask("Password: ", false, &l->password, err);
	}
	if (!r && !*l->password)
		r = fail(err, E_UNKNOWN, "Error: Password Required");
	return r;
}

/* ---- checking and storing ------------------------------------------------- */

static int replace(char **field, const char *text, struct err *err)
{
	free(*field);
	*field = strdup(text);
	return *field ? OK : fail_nomem(err);
}

/* Asks the daemon; a token that the registry gives takes the password's place. Who gives none to
 * a password has no use for an older one. */
static int check(struct cli *cli, const char *server, struct login *l, struct err *err)
{
	Imaged__V1__CheckAuthRequest request = IMAGED__V1__CHECK_AUTH_REQUEST__INIT;
	Imaged__V1__Credentials credentials = IMAGED__V1__CREDENTIALS__INIT;
	CLEANUP(imaged__v1__image_service__check_auth_freep) Imaged__V1__CheckAuthResponse *response = NULL;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	credentials.username = l->username;
	credentials.password = l->password;
	credentials.identity_token = l->identity_token;
	request.server_address = (char *)(strcmp(server, HUB_SERVER) ? server : "");
	request.credentials = &credentials;
	if (!r)
		r = imaged__v1__image_service__call_check_auth(channel, cli_call_options(), &request, &response, err);
	cli_explain(cli, err);
	if (r || (!*response->identity_token && !*l->password))
		return r;
	return replace(&l->identity_token, response->identity_token, err);
}

static int store(struct cli *cli, const char *server, const struct login *l)
{
	struct docker_config *config = cli_config(cli);
	struct err err = ERR_INIT;
	bool plain;

	if (docker_config_store(config, server, l, &plain, &err)) {
		cli_warn("Error saving credentials: %s\n", err.text);
		return 1;
	}
	if (plain)
		cli_warn("\nWARNING! Your credentials are stored unencrypted in '%s'.\n"
			 "Configure a credential helper to remove this warning. See\n"
			 "https://docs.docker.com/go/credential-store/\n\n",
			 docker_config_path(config));
	cli_print("Login Succeeded\n");
	return 0;
}

/* ---- the command ---------------------------------------------------------- */

/* What was stored before: tried first when nothing was given. True: it worked. */
static bool try_stored(struct cli *cli, const char *server, struct login *stored, int *ret_status)
{
	struct err err = ERR_INIT;

	cli_warn("Authenticating with existing credentials...");
	if (*stored->username)
		cli_warn(" [Username: %s]", stored->username);
	cli_warn("\n\n Info -> To login with a different account, run '%s logout' followed by '%s login'\n\n\n",
		 cli->program, cli->program);
	if (!check(cli, server, stored, &err)) {
		*ret_status = store(cli, server, stored);
		return true;
	}
	if (err.code == E_UNAUTHENTICATED || err.code == E_DENIED) {
		cli_warn("Login did not succeed, error: Error response from daemon: %s\n", err.text);
		return false;
	}
	*ret_status = cli_fail_call(&err);
	return true;
}

static bool is_complete(const struct options *o, const struct login *given)
{
	return o->username && *o->username && given->password && *given->password;
}

static int log_in(struct cli *cli, const struct options *o, const char *server, struct login *given)
{
	CLEANUP(login_wipe) struct login stored = { 0 };
	struct err err = ERR_INIT;
	bool nothing_given = !o->username && !given->password, has_stored;
	int status;

	if (!is_complete(o, given) && docker_config_get(cli_config(cli), server, &stored, &err) && !cli_is_docker(cli))
		cli_warn("WARNING: no stored credentials for %s: %s\n", server, err.text);
	has_stored = stored.username && (*stored.username || *stored.identity_token);
	if (nothing_given && has_stored && try_stored(cli, server, &stored, &status))
		return status;
	err = (struct err)ERR_INIT;
	if (complete(o, stored.username ? stored.username : "", given, &err))
		return cli_fail(&err);
	if (check(cli, server, given, &err))
		return cli_fail_call(&err);
	return store(cli, server, given);
}

static char *server_key(const char *argument)
{
	if (!argument || !*argument || !strcmp(argument, "docker.io") || !strcmp(argument, HUB_SERVER))
		return strdup(HUB_SERVER);
	return docker_config_host(argument);
}

static const char *conflict(const struct options *o)
{
	if (o->password && o->password_stdin)
		return "conflicting options: cannot specify both --password and --password-stdin";
	if (o->username && !*o->username)
		return "username is empty";
	if (o->password && !*o->password)
		return "password is empty";
	if (o->password_stdin && !o->username)
		return "the --password-stdin option requires --username to be set";
	return NULL;
}

static int read_password(const struct options *o, struct login *l, struct err *err)
{
	CLEANUP(wipe_buf) struct buf text = BUF_INIT(SECRET_MAX);
	int r = o->password_stdin ? read_stdin(&text, err) : OK;

	if (r)
		return r;
	if (o->password)
		l->password = strdup(o->password);
	else if (o->password_stdin)
		l->password = take_secret(&text);
	else
		return OK;
	return l->password ? OK : fail_nomem(err);
}

static int run(struct cli *cli, const void *options, int argc, char **argv)
{
	const struct options *o = options;
	CLEANUP(login_wipe) struct login given = { 0 };
	CLEANUP(freep) char *server = server_key(argc ? argv[0] : NULL);
	struct err err = ERR_INIT;

	cli_config(cli);
	if (conflict(o))
		return fail_text(conflict(o));
	if (o->password)
		cli_warn("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n");
	if (!server)
		return fail_text("out of memory");
	if (read_password(o, &given, &err))
		return cli_fail(&err);
	return log_in(cli, o, server, &given);
}

static const struct flag flags[] = {
	{ "password", 'p', FLAG_STRING, offsetof(struct options, password), "Password or Personal Access Token (PAT)",
	  NULL },
	{ "password-stdin", 0, FLAG_BOOL, offsetof(struct options, password_stdin),
	  "Take the Password or Personal Access Token (PAT) from stdin", NULL },
	{ "username", 'u', FLAG_STRING, offsetof(struct options, username), "Username", NULL },
};

const struct command_spec spec_login = {
	.usage = "[OPTIONS] [SERVER]",
	.summary = "Authenticate to a registry",
	.help = "Authenticate to a registry.\nDefaults to Docker Hub if no server is specified.",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.max_args = 1,
	.options_size = sizeof(struct options),
	.run = run,
};
