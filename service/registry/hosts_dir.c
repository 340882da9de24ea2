#include "service/registry/hosts_dir.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

void hosts_found_free(struct hosts_found *f)
{
	host_list_free(&f->list);
	free(f->file);
	*f = (struct hosts_found){ 0 };
}

/* ---- which folder ---------------------------------------------------------- */

/* 1 when it is there, 0 when not. */
static int folder_exists(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode);
	if (errno == ENOENT || errno == ENOTDIR)
		return 0;
	return fail(err, E_BAD_CONTENT, "%s: %s", path, strerrordesc_np(errno));
}

/* "HOST:PORT" → "HOST_PORT_", for systems and archives that know no colon in names. */
static char *without_colon(const char *host)
{
	char name[SCHEME_HOST_MAX];
	const char *port;

	scheme_split_port(host, name, &port);
	return *port ? format("%s_%s_", name, port) : strdup(host);
}

static int look_at(const char *root, const char *name, char **ret_folder, struct err *err)
{
	CLEANUP(freep) char *path = format("%s/%s", root, name);
	int r = path ? folder_exists(path, err) : fail_nomem(err);

	if (r > 0)
		*ret_folder = TAKE(path);
	return r < 0 ? r : OK;
}

/* Names come from references, whose grammar knows neither slash nor a leading dot;
 * those of other callers are held to the same. */
static int find_folder(const char *root, const char *host, bool with_default, char **ret_folder, struct err *err)
{
	CLEANUP(freep) char *plain = without_colon(host);
	const char *const names[] = { plain, host, with_default ? "_default" : NULL };
	bool is_name = strlen(host) < SCHEME_HOST_MAX && host[0] != '.' && host[0] != '_' && !strchr(host, '/');

	if (!plain)
		return fail_nomem(err);
	for (size_t i = is_name ? 0 : 2; i < ARRAY_LEN(names) && !*ret_folder; i++)
		if (names[i] && look_at(root, names[i], ret_folder, err) < 0)
			return err->code;
	return OK;
}

/* ---- certificates ---------------------------------------------------------- */

static bool ends_in(const char *name, const char *end)
{
	size_t len = strlen(name), n = strlen(end);

	return len > n && !strcmp(name + len - n, end);
}

/* "client.cert" and ".key" → "client.key". */
static char *sibling(const char *folder, const char *name, const char *end)
{
	return format("%s/%.*s%s", folder, (int)(strrchr(name, '.') - name), name, end);
}

static int require(const char *folder, const char *name, const char *other_end, const char *what, char **ret_other,
		   struct err *err)
{
	CLEANUP(freep) char *other = sibling(folder, name, other_end);
	struct stat st;

	if (!other)
		return fail_nomem(err);
	if (stat(other, &st) < 0)
		return fail(err, E_BAD_CONTENT, "%s/%s: %s is missing: %s (authorities end in .crt)", folder, name,
			    what, other);
	*ret_other = TAKE(other);
	return OK;
}

static int take_file(struct host_config *c, const char *folder, const char *name, struct err *err)
{
	CLEANUP(freep) char *other = NULL;

	if (ends_in(name, ".crt"))
		return host_config_add_ca(c, format("%s/%s", folder, name), err);
	if (ends_in(name, ".key"))
		return require(folder, name, ".cert", "its certificate", &other, err);
	if (!ends_in(name, ".cert"))
		return OK;
	if (require(folder, name, ".key", "its key", &other, err) < 0)
		return err->code;
	return host_config_add_client(c, format("%s/%s", folder, name), TAKE(other), err);
}

static void free_names(struct dirent **names, int n)
{
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static int read_certificates(const char *folder, struct host_list *l, struct err *err)
{
	struct host_config *c = host_list_add(l);
	struct dirent **names = NULL;
	int r = OK, n;

	if (!c)
		return fail_nomem(err);
	n = scandir(folder, &names, NULL, alphasort);
	if (n < 0)
		return fail(err, E_BAD_CONTENT, "%s: %s", folder, strerrordesc_np(errno));
	for (int i = 0; i < n && r == OK; i++)
		r = take_file(c, folder, names[i]->d_name, err);
	free_names(names, n);
	return r;
}

/* ---- one registry ---------------------------------------------------------- */

static int read_toml(const char *file, struct hosts_found *f, struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(HOSTS_FILE_BYTES_MAX);
	bool exists = false;

	if (host_file_read(file, &text, &exists, err) < 0)
		return err->code;
	f->is_toml = exists && text.len > 0;
	return f->is_toml ? hosts_file_parse(file, buf_text(&text), text.len, &f->list, err) : OK;
}

static int read_folder(const char *folder, struct hosts_found *f, struct err *err)
{
	f->file = format("%s/hosts.toml", folder);
	if (!f->file)
		return fail_nomem(err);
	if (read_toml(f->file, f, err) < 0)
		return err->code;
	if (f->is_toml)
		return OK;
	free(f->file);
	f->file = strdup(folder);
	return f->file ? read_certificates(folder, &f->list, err) : fail_nomem(err);
}

int hosts_dir_read(const char *root, const char *host, bool with_default, struct hosts_found *ret_found,
		   struct err *err)
{
	CLEANUP(hosts_found_free) struct hosts_found f = { 0 };
	CLEANUP(freep) char *folder = NULL;
	struct err why = ERR_INIT;
	int r = find_folder(root, host, with_default, &folder, &why);

	if (r == OK && folder)
		r = read_folder(folder, &f, &why);
	if (r != OK)
		return fail(err, r, "%s", why.text);
	*ret_found = TAKE(f);
	return OK;
}
