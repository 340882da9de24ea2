#include "service/registry/hosts_file.h"

#include <stdio.h>
#include <strings.h>

#include "service/build/duration.h"
#include "service/config/toml.h"
#include "service/registry/url.h"

enum { NS_PER_MS = 1000 * 1000, NOTE_BYTES_MAX = 1024 };

/* ---- lists ----------------------------------------------------------------- */

void host_list_free(struct host_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		host_config_free(&l->hosts[i]);
	for (size_t i = 0; i < l->n_notes; i++)
		free(l->notes[i]);
	free(l->hosts);
	*l = (struct host_list){ 0 };
}

struct host_config *host_list_add(struct host_list *l)
{
	struct host_config *hosts = l->n < HOSTS_MAX ? realloc(l->hosts, (l->n + 1) * sizeof *hosts) : NULL;

	if (!hosts)
		return NULL;
	l->hosts = hosts;
	host_config_default("", &hosts[l->n]);
	return &hosts[l->n++];
}

void host_list_note(struct host_list *l, const char *fmt, ...)
{
	struct buf b = BUF_INIT(NOTE_BYTES_MAX);
	struct err text = ERR_INIT;
	va_list ap;

	if (l->n_notes >= HOSTS_NOTES_MAX)
		return;
	va_start(ap, fmt);
	failv(&text, E_UNKNOWN, fmt, ap);
	va_end(ap);
	buf_puts(&b, text.text);
	l->notes[l->n_notes] = buf_take(&b);
	l->n_notes += l->notes[l->n_notes] != NULL;
}

/* ---- reading --------------------------------------------------------------- */

/* What the file says about one host, until its URL can be read: override_path may
 * come behind it. */
struct entry {
	char *url; /* NULL: the registry itself */
	bool override_path;
	unsigned line, column;
};

struct reader {
	const char *file;
	struct host_list list; /* the root first, until the end */
	struct entry entries[HOSTS_MAX];
};

struct key {
	const struct toml_value *value;
	char *const *path; /* within the host's table */
	size_t n;
};

static int fail_at(const struct reader *r, const struct toml_value *v, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int fail_at(const struct reader *r, const struct toml_value *v, struct err *err, const char *fmt, ...)
{
	struct err why = ERR_INIT;
	va_list ap;

	va_start(ap, fmt);
	failv(&why, E_BAD_CONTENT, fmt, ap);
	va_end(ap);
	return fail(err, E_BAD_CONTENT, "%s:%u:%u: %s", r->file, v->line, v->column, why.text);
}

/* Of what was refused by those who do not know the file. */
static int refused_at(const struct reader *r, const struct toml_value *v, const struct err *why, struct err *err)
{
	if (why->code == E_NO_MEMORY)
		return fail_nomem(err);
	return fail_at(r, v, err, "%s", why->text);
}

static int expected(const struct reader *r, const struct key *k, const char *what, struct err *err)
{
	return fail_at(r, k->value, err, "'%s' must be %s", k->path[0], what);
}

/* Seen from the file's folder; NULL without memory. */
static char *file_of(const struct reader *r, const char *name)
{
	const char *slash = strrchr(r->file, '/');

	if (name[0] == '/' || !slash)
		return strdup(name);
	return format("%.*s/%s", (int)(slash - r->file), r->file, name);
}

/* ---- keys ------------------------------------------------------------------ */

static int take_capability(struct host_config *c, const char *word)
{
	static const char *const words[HOST_CAPABILITIES] = {
		[HOST_PULL] = "pull",
		[HOST_RESOLVE] = "resolve",
		[HOST_PUSH] = "push",
		[HOST_REFERRERS] = "referrers",
	};

	for (unsigned i = 0; i < HOST_CAPABILITIES; i++)
		if (!strcasecmp(word, words[i])) {
			c->capabilities |= 1U << i;
			return OK;
		}
	return E_INVALID;
}

static int take_capabilities(struct reader *r, size_t at, const struct key *k, struct err *err)
{
	struct host_config *c = &r->list.hosts[at];
	const struct toml_value *v = k->value;

	if (v->kind != TOML_STRINGS)
		return expected(r, k, "an array of strings", err);
	if (!v->n_items) /* as containerd: nothing said */
		return OK;
	c->capabilities = 0;
	for (size_t i = 0; i < v->n_items; i++)
		if (take_capability(c, v->items[i]) != OK)
			return fail_at(r, v, err, "unknown capability '%s'", v->items[i]);
	return OK;
}

static int take_ca(struct reader *r, size_t at, const struct key *k, struct err *err)
{
	struct host_config *c = &r->list.hosts[at];
	const struct toml_value *v = k->value;
	struct err why = ERR_INIT;
	int code = OK;

	if (v->kind == TOML_STRING)
		code = host_config_add_ca(c, file_of(r, v->text), &why);
	else if (v->kind != TOML_STRINGS)
		return expected(r, k, "a string or an array of strings", err);
	for (size_t i = 0; code == OK && i < v->n_items; i++)
		code = host_config_add_ca(c, file_of(r, v->items[i]), &why);
	return code == OK ? OK : refused_at(r, v, &why, err);
}

static int add_pair(struct reader *r, struct host_config *c, const char *cert, const char *key, struct err *err)
{
	char *key_file = key && *key ? file_of(r, key) : NULL;

	if (key && *key && !key_file)
		return fail_nomem(err);
	return host_config_add_client(c, file_of(r, cert), key_file, err);
}

static int add_list(struct reader *r, struct host_config *c, const struct toml_list *l, struct err *err)
{
	if (l->n_items < 1 || l->n_items > 2)
		return fail(err, E_INVALID, "'client': a pair of certificate and key was expected");
	return add_pair(r, c, l->items[0], l->n_items > 1 ? l->items[1] : NULL, err);
}

static int take_client(struct reader *r, size_t at, const struct key *k, struct err *err)
{
	struct host_config *c = &r->list.hosts[at];
	const struct toml_value *v = k->value;
	struct err why = ERR_INIT;
	int code = OK;

	if (v->kind == TOML_STRING)
		code = add_pair(r, c, v->text, NULL, &why);
	else if (v->kind != TOML_STRINGS && v->kind != TOML_LISTS)
		return expected(r, k, "a string, an array of strings, or an array of pairs", err);
	for (size_t i = 0; code == OK && i < v->n_items; i++)
		code = add_pair(r, c, v->items[i], NULL, &why);
	for (size_t i = 0; code == OK && i < v->n_lists; i++)
		code = add_list(r, c, &v->lists[i], &why);
	return code == OK ? OK : refused_at(r, v, &why, err);
}

static int take_skip_verify(struct reader *r, size_t at, const struct key *k, struct err *err)
{
	if (k->value->kind != TOML_BOOLEAN)
		return expected(r, k, "true or false", err);
	r->list.hosts[at].verify = k->value->number ? VERIFY_NOT : VERIFY;
	return OK;
}

static int take_override_path(struct reader *r, size_t at, const struct key *k, struct err *err)
{
	if (k->value->kind != TOML_BOOLEAN)
		return expected(r, k, "true or false", err);
	r->entries[at].override_path = k->value->number != 0;
	return OK;
}

static int take_header(struct reader *r, size_t at, const struct key *k, struct err *err)
{
	struct host_config *c = &r->list.hosts[at];
	const struct toml_value *v = k->value;
	struct err why = ERR_INIT;
	int code = OK;

	if (k->n == 1)
		return v->kind == TOML_TABLE ? OK : expected(r, k, "a table", err);
	if (k->n != 2 || (v->kind != TOML_STRING && v->kind != TOML_STRINGS))
		return fail_at(r, v, err, "the header '%s' must be a string or an array of strings", k->path[1]);
	if (v->kind == TOML_STRING)
		code = host_config_add_header(c, k->path[1], v->text, &why);
	for (size_t i = 0; code == OK && i < v->n_items; i++)
		code = host_config_add_header(c, k->path[1], v->items[i], &why);
	return code == OK ? OK : refused_at(r, v, &why, err);
}

static int take_dial_timeout(struct reader *r, size_t at, const struct key *k, struct err *err)
{
	int64_t ns = 0;

	if (k->value->kind != TOML_STRING)
		return expected(r, k, "a string", err);
	if (duration_parse(k->value->text, &ns, NULL) != OK || ns < 0)
		return expected(r, k, "a duration such as \"3s\"", err);
	/* What is set and below a millisecond is one; a day is for ever. */
	ns = ns > (int64_t)86400 * 1000 * NS_PER_MS ? (int64_t)86400 * 1000 * NS_PER_MS : ns;
	r->list.hosts[at].dial_timeout_ms = (ns + NS_PER_MS - 1) / NS_PER_MS;
	return OK;
}

static int take_server(struct reader *r, size_t at, const struct key *k, struct err *err)
{
	if (at != 0)
		return fail_at(r, k->value, err, "'server' belongs to the top of the file");
	if (k->value->kind != TOML_STRING)
		return expected(r, k, "a string", err);
	r->entries[0].line = k->value->line;
	r->entries[0].column = k->value->column;
	if (*k->value->text)
		r->entries[0].url = strdup(k->value->text);
	return !*k->value->text || r->entries[0].url ? OK : fail_nomem(err);
}

static const struct {
	const char *name;
	int (*take)(struct reader *r, size_t at, const struct key *k, struct err *err);
} keys[] = {
	{ "capabilities", take_capabilities },
	{ "ca", take_ca },
	{ "client", take_client },
	{ "dial_timeout", take_dial_timeout },
	{ "header", take_header },
	{ "override_path", take_override_path },
	{ "server", take_server },
	{ "skip_verify", take_skip_verify },
};

/* ---- the file -------------------------------------------------------------- */

/* The host's place in the list; it is made where it appears first. */
static int find_entry(struct reader *r, const struct toml_value *v, size_t *ret_at, struct err *err)
{
	for (size_t i = 1; i < r->list.n; i++)
		if (!strcmp(r->entries[i].url, v->path[1])) {
			*ret_at = i;
			return OK;
		}
	if (r->list.n >= HOSTS_MAX)
		return fail_at(r, v, err, "more than %d hosts", HOSTS_MAX - 1);
	r->entries[r->list.n] = (struct entry){ strdup(v->path[1]), false, v->line, v->column };
	if (!r->entries[r->list.n].url)
		return fail_nomem(err);
	*ret_at = r->list.n;
	if (host_list_add(&r->list))
		return OK;
	free(TAKE(r->entries[*ret_at].url));
	return fail_nomem(err);
}

static int take_key(struct reader *r, size_t at, const struct key *k, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (!strcmp(k->path[0], keys[i].name))
			return keys[i].take(r, at, k, err);
	/* Of what is within an unknown table, the table is enough. */
	if (k->n == 1)
		host_list_note(&r->list, "%s:%u: the key '%.64s' is not known, and is left alone", r->file,
			       k->value->line, k->path[0]);
	return OK;
}

static int take_value(struct reader *r, const struct toml_value *v, struct err *err)
{
	struct key k = { v, v->path, v->n_path };
	size_t at = 0;

	if (strcmp(v->path[0], "host") != 0)
		return take_key(r, 0, &k, err);
	if (v->n_path < 3 && v->kind != TOML_TABLE)
		return fail_at(r, v, err, "'host' must be a table of tables");
	if (v->n_path < 2)
		return OK;
	if (find_entry(r, v, &at, err) < 0)
		return err->code;
	k.path += 2;
	k.n -= 2;
	return k.n ? take_key(r, at, &k, err) : OK;
}

static int set_urls(struct reader *r, struct err *err)
{
	for (size_t i = 0; i < r->list.n; i++) {
		const struct entry *e = &r->entries[i];
		const struct toml_value place = { .line = e->line, .column = e->column };
		struct err why = ERR_INIT;

		if (e->url && host_config_set_url(&r->list.hosts[i], e->url, e->override_path, &why) != OK) {
			CLEANUP(freep) char *shown = url_for_display(e->url);

			err_wrap(&why, "the host \"%.64s\"", shown ? shown : "");
			return refused_at(r, &place, &why, err);
		}
	}
	return OK;
}

/* The registry itself is asked last. */
static void move_root_last(struct host_list *l)
{
	struct host_config root = l->hosts[0];

	memmove(l->hosts, l->hosts + 1, (l->n - 1) * sizeof *l->hosts);
	l->hosts[l->n - 1] = root;
}

static int read_values(struct reader *r, const struct toml_file *t, struct err *err)
{
	if (!host_list_add(&r->list))
		return fail_nomem(err);
	for (size_t i = 0; i < t->n_values; i++)
		if (take_value(r, &t->values[i], err) < 0)
			return err->code;
	if (set_urls(r, err) < 0)
		return err->code;
	move_root_last(&r->list);
	return OK;
}

static void reader_free(struct reader *r)
{
	for (size_t i = 0; i < HOSTS_MAX; i++)
		free(r->entries[i].url);
	host_list_free(&r->list);
}

int hosts_file_parse(const char *file, const char *text, size_t len, struct host_list *ret_list, struct err *err)
{
	CLEANUP(toml_file_freep) struct toml_file *t = NULL;
	CLEANUP(reader_free) struct reader r = { .file = file };
	struct err why = ERR_INIT;
	int code = toml_file_parse(file, text, len, &t, &why);

	if (code == OK)
		code = read_values(&r, t, &why);
	if (code != OK)
		return fail(err, code == E_INVALID ? E_BAD_CONTENT : code, "%s", why.text);
	*ret_list = TAKE(r.list);
	return OK;
}
