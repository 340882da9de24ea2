/* --secret id=ID[,src=FILE|,env=NAME] and --ssh default|ID[=SOCKET]. */
#include <fcntl.h>
#include <sys/stat.h>

#include "client/cli/build/fields.h"
#include "client/cli/build/request.h"
#include "client/cli/file_error.h"

/* ---- secrets ------------------------------------------------------------------------------------- */

/* As docker's buildx words what is wrong with a file. */
static int fail_stat(const char *path, struct err *err)
{
	fail_file(err, "stat", path);
	return err_wrap(err, "failed to stat %.256s", path);
}

static int read_secret(int fd, const char *path, uint8_t *out, size_t *ret_len, struct err *err)
{
	size_t len = 0;

	for (;;) {
		ssize_t n = read(fd, out + len, SECRET_BYTES_MAX + 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_file(err, "read", path);
		len += (size_t)n;
		if (len > SECRET_BYTES_MAX)
			return fail(err, E_LIMIT, "invalid secret: %.256s has more than 500 KiB", path);
		if (!n)
			break;
	}
	*ret_len = len;
	return OK;
}

static int take_file(struct build_request *q, Imaged__V1__BuildSecret *m, const char *path, struct err *err)
{
	CLEANUP(closep) int fd = -1;
	struct stat st;

	if (stat(path, &st) < 0)
		return fail_stat(path, err);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail_file(err, "open", path);
	m->value.data = arena_alloc(&q->arena, SECRET_BYTES_MAX + 1);
	if (!m->value.data)
		return fail_nomem(err);
	return read_secret(fd, path, m->value.data, &m->value.len, err);
}

static int take_variable(struct build_request *q, Imaged__V1__BuildSecret *m, const char *name, struct err *err)
{
	const char *value = getenv(name);
	size_t len = value ? strlen(value) : 0;

	if (len > SECRET_BYTES_MAX)
		return fail(err, E_LIMIT, "invalid secret: the variable %.128s has more than 500 KiB", name);
	m->value.data = (uint8_t *)arena_string(&q->arena, value ? value : "");
	m->value.len = len;
	return m->value.data ? OK : fail_nomem(err);
}

static int check_keys(const struct fields *f, const char *text, struct err *err)
{
	static const char *const known[] = { "id", "src", "source", "env", "type" };

	for (size_t i = 0; i < f->n; i++) {
		bool found = false;

		if (!f->items[i].value)
			return fail(err, E_INVALID, "invalid field '%.128s' must be a key=value pair in %.256s",
				    f->items[i].key, text);
		for (size_t k = 0; k < ARRAY_LEN(known); k++)
			found |= !strcmp(known[k], f->items[i].key);
		if (!found)
			return fail(err, E_INVALID, "unexpected key '%.128s' in '%.128s=%.256s'", f->items[i].key,
				    f->items[i].key, f->items[i].value);
	}
	return OK;
}

/* Without a place the name is that of a variable, else of a file. */
static int take_value(struct build_request *q, Imaged__V1__BuildSecret *m, const struct fields *f, struct err *err)
{
	const char *type = fields_get(f, "type"), *source = fields_get(f, "src"), *variable = fields_get(f, "env");

	if (!source)
		source = fields_get(f, "source");
	if (type && strcmp(type, "file") != 0 && strcmp(type, "env") != 0)
		return fail(err, E_INVALID, "unsupported secret type \"%.128s\"", type);
	if (type && !strcmp(type, "env") && source && !variable) {
		variable = source;
		source = NULL;
	}
	if (!source && !variable && (!type || strcmp(type, "file") != 0) && getenv(m->id))
		variable = m->id;
	return variable ? take_variable(q, m, variable, err) : take_file(q, m, source ? source : m->id, err);
}

static int add_secret(struct build_request *q, const char *text, struct err *err)
{
	Imaged__V1__BuildSecret *m = arena_alloc(&q->arena, sizeof *m);
	struct fields f;

	if (!m)
		return fail_nomem(err);
	imaged__v1__build_secret__init(m);
	if (fields_parse(text, &q->arena, &f, err) < 0)
		return err_wrap(err, "failed to parse csv secret");
	if (check_keys(&f, text, err) < 0)
		return err->code;
	m->id = (char *)fields_get(&f, "id");
	if (!m->id || !*m->id)
		return fail(err, E_INVALID, "secret missing ID");
	if (take_value(q, m, &f, err) < 0)
		return err->code;
	q->start.secrets[q->start.n_secrets++] = m;
	return OK;
}

int request_secrets(struct build_request *q, const struct build_options *o, struct err *err)
{
	q->start.secrets = arena_array(&q->arena, o->secret.n, sizeof(Imaged__V1__BuildSecret *));
	if (!q->start.secrets)
		return fail_nomem(err);
	for (size_t i = 0; i < o->secret.n; i++)
		if (add_secret(q, o->secret.items[i], err) < 0)
			return err->code;
	return OK;
}

/* ---- agents --------------------------------------------------------------------------------------- */

static int check_socket(const char *id, const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return fail_stat(path, err);
	if (S_ISSOCK(st.st_mode))
		return OK;
	return fail(err, E_UNSUPPORTED,
		    "--ssh %.128s: %.256s is no socket of an SSH agent: keys are not read here; load it into an agent "
		    "(ssh-add %.256s) and give --ssh %.128s",
		    id, path, path, id);
}

static int add_agent(struct build_request *q, const char *text, struct err *err)
{
	const char *equals = strchr(text, '='), *socket = equals ? equals + 1 : getenv("SSH_AUTH_SOCK");
	char *id = arena_bytes(
		&q->arena, (struct bytes){ (const uint8_t *)text, equals ? (size_t)(equals - text) : strlen(text) });
	struct build_agents *a = &q->agents;

	if (!id)
		return fail_nomem(err);
	if (a->n == AGENTS_MAX)
		return fail(err, E_LIMIT, "more than %d SSH agents", AGENTS_MAX);
	if (!socket || !*socket)
		return fail(
			err, E_INVALID,
			"failed to convert agent config {%.128s [] false}: invalid empty ssh agent socket: make sure "
			"SSH_AUTH_SOCK is set",
			id);
	if (check_socket(id, socket, err) < 0)
		return err->code;
	a->items[a->n++] = (struct build_agent){ *id ? id : "default", socket };
	q->start.ssh_ids[q->start.n_ssh_ids++] = *id ? id : (char *)"default";
	return OK;
}

int request_agents(struct build_request *q, const struct build_options *o, struct err *err)
{
	q->start.ssh_ids = arena_array(&q->arena, o->ssh.n, sizeof(char *));
	if (!q->start.ssh_ids)
		return fail_nomem(err);
	for (size_t i = 0; i < o->ssh.n; i++)
		if (add_agent(q, o->ssh.items[i], err) < 0)
			return err->code;
	return OK;
}
