#include "service/config/config.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "proto/runtime/buf.h"
#include "service/build/number.h"
#include "service/config/toml.h"

enum { FILE_BYTES_MAX = 1024 * 1024 };

#define CLIENT_BYTES (INT64_C(256) << 20)
#define DEFAULT_FILE "/etc/imaged/imaged.toml"

const char config_usage[] =
	"Usage:  imaged [OPTIONS]\n"
	"\n"
	"The container-image service of this machine.\n"
	"\n"
	"Options:\n"
	"      --config FILE              Configuration file (default " DEFAULT_FILE ", if there is one)\n"
	"      --root DIR                 Where images are kept (default /var/lib/imaged)\n"
	"      --listen ADDRESS           unix:///PATH, tcp://HOST:PORT or fd://N; may be repeated\n"
	"                                 (default unix:///run/imaged/imaged.sock)\n"
	"      --metrics-listen ADDRESS   Serve metrics for Prometheus at HOST:PORT or unix:///PATH (default nowhere)\n"
	"      --tls-cert FILE            Certificate chain for tcp:// (PEM)\n"
	"      --tls-key FILE             Its private key (PEM)\n"
	"      --tls-client-ca FILE       Demand client certificates signed by these (PEM)\n"
	"      --tls-allow-anonymous      Ask nobody who reaches tcp:// for a certificate\n"
	"      --grant ROLE:WHO           Let callers read, write or admin, as write:gid=docker; may be repeated\n"
	"                                 (default: who may open a unix socket is admin, nobody is let in by TCP)\n"
	"      --client-calls N           Calls that one client may have open (default 1024)\n"
	"      --client-transfers N       Of those, pulls, pushes and copies (default 64)\n"
	"      --client-bytes SIZE        Messages on their way from and to one client (default 256MB)\n"
	"      --no-audit                 Write no line for each call that may change something\n"
	"      --channelz                 Serve gRPC's own view of its connections (grpc.channelz.v1) to admins\n"
	"      --hosts-dir DIR            How registries are asked: HOST/hosts.toml, or certificates\n"
	"                                 (default /etc/imaged/certs.d)\n"
	"      --registry-mirror URL      Mirror of Docker Hub, or HOST=URL of another registry; may be repeated\n"
	"      --insecure-registry HOST   Registry without valid TLS, HOST[:PORT] or CIDR; may be repeated\n"
	"      --allow-foreign-urls       Fetch layers that a registry does not have from where their manifest says\n"
	"      --no-layers                Make no images of layers when images come in: the first mount makes them\n"
	"      --build-runtime FILE       OCI runtime of RUN steps: crun or runc (default the first one found)\n"
	"      --build-cgroup-parent DIR  Where cgroups of RUN steps are (default imaged)\n"
	"      --build-parallel N         Steps at once in all builds together (default as fits the machine)\n"
	"      --build-allow ENTITLEMENT  What builds may ask for: network.host, security.insecure, none; may be\n"
	"                                 repeated (default network.host)\n"
	"      --build-cache-max SIZE     What builds may keep, as 20GB, or none (default a tenth of the disk, at "
	"least\n"
	"                                 2GB)\n"
	"      --build-cache-unused TIME  What they did not use for so long goes, as 14d or 36h, or none (default "
	"14d)\n"
	"      --pin REFERENCE            Keep this image, or those whose names match a glob with * and ?: prune "
	"passes\n"
	"                                 it over, rm needs --force, and CRI says that it is pinned; may be repeated\n"
	"      --pin-label KEY[=VALUE]    Keep images whose configuration has this label; may be repeated\n"
	"      --sandbox-image REFERENCE  Keep the image of pod sandboxes\n"
	"      --cri-runtime-handler NAME[=PLATFORM]\n"
	"                                 A runtime handler that pods may ask images for; may be repeated\n"
	"      --cri-network-ready        Answer the Status of CRI with a network that is ready\n"
	"      --search-index URL         Index of Docker Hub for searches (default https://index.docker.io)\n"
	"      --hub-url URL              API of Docker Hub for searches (default https://hub.docker.com)\n"
	"      --log-format FORMAT        text or json (default text)\n"
	"      --log-level LEVEL          error, warn, info or debug (default info)\n"
	"      --version                  Print the version and exit\n"
	"  -h, --help                     Print this help and exit\n";

/* One row per flag: where its value goes. */
struct field {
	const char *name;
	size_t offset;
	enum { TEXT, LIST, SWITCH } kind;
};

static const struct field fields[] = {
	{ "root", offsetof(struct config, root), TEXT },
	{ "listen", offsetof(struct config, listen), LIST },
	{ "metrics-listen", offsetof(struct config, metrics_listen), TEXT },
	{ "tls-cert", offsetof(struct config, tls_cert), TEXT },
	{ "tls-key", offsetof(struct config, tls_key), TEXT },
	{ "tls-client-ca", offsetof(struct config, tls_client_ca), TEXT },
	{ "tls-allow-anonymous", offsetof(struct config, tls_allow_anonymous), SWITCH },
	{ "grant", offsetof(struct config, grant), LIST },
	{ "client-calls", offsetof(struct config, client_calls), TEXT },
	{ "client-transfers", offsetof(struct config, client_transfers), TEXT },
	{ "client-bytes", offsetof(struct config, client_bytes), TEXT },
	{ "no-audit", offsetof(struct config, no_audit), SWITCH },
	{ "channelz", offsetof(struct config, channelz), SWITCH },
	{ "hosts-dir", offsetof(struct config, hosts_dir), TEXT },
	{ "registry-mirror", offsetof(struct config, registry_mirror), LIST },
	{ "insecure-registry", offsetof(struct config, insecure_registry), LIST },
	{ "allow-foreign-urls", offsetof(struct config, allow_foreign_urls), SWITCH },
	{ "no-layers", offsetof(struct config, no_layers), SWITCH },
	{ "build-runtime", offsetof(struct config, build_runtime), TEXT },
	{ "build-cgroup-parent", offsetof(struct config, build_cgroup_parent), TEXT },
	{ "build-parallel", offsetof(struct config, build_parallel), TEXT },
	{ "build-allow", offsetof(struct config, build_allow), LIST },
	{ "build-cache-max", offsetof(struct config, build_cache_max), TEXT },
	{ "build-cache-unused", offsetof(struct config, build_cache_unused), TEXT },
	{ "pin", offsetof(struct config, pin), LIST },
	{ "pin-label", offsetof(struct config, pin_label), LIST },
	{ "sandbox-image", offsetof(struct config, sandbox_image), TEXT },
	{ "cri-runtime-handler", offsetof(struct config, cri_runtime_handler), LIST },
	{ "cri-network-ready", offsetof(struct config, cri_network_ready), SWITCH },
	{ "search-index", offsetof(struct config, search_index), TEXT },
	{ "hub-url", offsetof(struct config, hub_url), TEXT },
	{ "log-format", offsetof(struct config, log_format), TEXT },
	{ "log-level", offsetof(struct config, log_level), TEXT },
};

static const struct field *field_named(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (strlen(fields[i].name) == len && !memcmp(fields[i].name, name, len))
			return &fields[i];
	return NULL;
}

static char **text_of(struct config *c, const struct field *f)
{
	return (char **)((char *)c + f->offset);
}

static bool *switch_of(struct config *c, const struct field *f)
{
	return (bool *)((char *)c + f->offset);
}

static struct config_list *list_of(struct config *c, const struct field *f)
{
	return (struct config_list *)((char *)c + f->offset);
}

static void list_free(struct config_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct config_list){ 0 };
}

static int list_add(struct config_list *list, const char *value, struct err *err)
{
	char **items = realloc(list->items, (list->n + 2) * sizeof *items);

	if (!items)
		return fail_nomem(err);
	list->items = items;
	items[list->n] = strdup(value);
	if (!items[list->n])
		return fail_nomem(err);
	items[++list->n] = NULL;
	return OK;
}

static int set_text(struct config *c, const struct field *f, const char *value, struct err *err)
{
	char **slot = text_of(c, f), *copy = strdup(value);

	if (!copy)
		return fail_nomem(err);
	free(*slot);
	*slot = copy;
	return OK;
}

void config_free(struct config *c)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (fields[i].kind == LIST)
			list_free(list_of(c, &fields[i]));
		else if (fields[i].kind == TEXT)
			free(*text_of(c, &fields[i]));
	}
	*c = (struct config){ 0 };
}

/* ---- the file ------------------------------------------------------------- */

static int apply_value(struct config *c, const char *file, const struct toml_value *v, struct err *err)
{
	static const struct {
		enum toml_kind kind;
		const char *words;
	} shapes[] = {
		[TEXT] = { TOML_STRING, "a string" },
		[LIST] = { TOML_STRINGS, "an array of strings" },
		[SWITCH] = { TOML_BOOLEAN, "true or false" },
	};
	const struct field *f = v->n_path == 1 ? field_named(v->path[0], strlen(v->path[0])) : NULL;

	if (v->kind == TOML_TABLE && !v->empty)
		return OK; /* what is in it is looked at by itself */
	if (!f)
		return fail(err, E_INVALID, "%s:%u:%u: unknown key '%s'", file, v->line, v->column, v->path[0]);
	if (v->kind != shapes[f->kind].kind)
		return fail(err, E_INVALID, "%s:%u:%u: '%s' must be %s", file, v->line, v->column, f->name,
			    shapes[f->kind].words);
	if (f->kind == TEXT)
		return set_text(c, f, v->text, err);
	if (f->kind == SWITCH) {
		*switch_of(c, f) = v->number != 0;
		return OK;
	}
	for (size_t i = 0; i < v->n_items; i++)
		if (list_add(list_of(c, f), v->items[i], err) < 0)
			return err->code;
	return OK;
}

static int read_all(int fd, struct buf *out, const char *file, struct err *err)
{
	for (;;) {
		void *room = buf_reserve(out, 4096);
		ssize_t n;

		if (!room)
			return fail(err, E_LIMIT, "configuration file %s is larger than 1 MiB", file);
		n = read(fd, room, 4096);
		if (n < 0)
			return fail_errno(err, "configuration file %s", file);
		if (n == 0)
			return OK;
		out->len += (size_t)n;
	}
}

static int apply_file(struct config *c, const char *file, bool must_exist, struct err *err)
{
	CLEANUP(closep) int fd = open(file, O_RDONLY | O_CLOEXEC);
	CLEANUP(buf_free) struct buf text = BUF_INIT(FILE_BYTES_MAX);
	CLEANUP(toml_file_freep) struct toml_file *t = NULL;

	if (fd < 0 && errno == ENOENT && !must_exist)
		return OK;
	if (fd < 0)
		return fail_errno(err, "configuration file %s", file);
	if (read_all(fd, &text, file, err) < 0 || toml_file_parse(file, buf_text(&text), text.len, &t, err) < 0)
		return err->code;
	for (size_t i = 0; i < t->n_values; i++)
		if (apply_value(c, file, &t->values[i], err) < 0)
			return err->code;
	return OK;
}

/* ---- the command line ----------------------------------------------------- */

/* Splits "--name=value" or "--name value"; *i moves past what was used. */
static int flag_value(int argc, char **argv, int *i, size_t *ret_name_len, const char **ret_value, struct err *err)
{
	const char *arg = argv[*i] + 2, *equals = strchr(arg, '=');

	*ret_name_len = equals ? (size_t)(equals - arg) : strlen(arg);
	if (equals) {
		*ret_value = equals + 1;
		return OK;
	}
	if (*i + 1 >= argc)
		return fail(err, E_USAGE, "flag needs an argument: %s", argv[*i]);
	*ret_value = argv[++*i];
	return OK;
}

/* "--name", "--name=true" or "--name=false": a switch takes no next argument. */
static int apply_switch(struct config *c, const struct field *f, const char *arg, struct err *err)
{
	const char *equals = strchr(arg, '=');
	bool on = !equals || !strcmp(equals + 1, "true");

	if (!on && strcmp(equals + 1, "false") != 0)
		return fail(err, E_USAGE, "%s must be true or false, not '%s'", f->name, equals + 1);
	*switch_of(c, f) = on;
	return OK;
}

static int apply_flag(struct config *c, int argc, char **argv, int *i, bool seen[], struct err *err)
{
	const char *name = argv[*i] + 2, *value = NULL;
	const struct field *f;
	size_t len = strcspn(name, "=");

	f = field_named(name, len);
	if (!f && (len != strlen("config") || memcmp(name, "config", len) != 0))
		return fail(err, E_USAGE, "unknown flag: --%.*s", (int)len, name);
	if (f && f->kind == SWITCH)
		return apply_switch(c, f, argv[*i], err);
	if (flag_value(argc, argv, i, &len, &value, err) < 0)
		return err->code;
	if (!f)
		return OK; /* --config was read before */
	if (f->kind == TEXT)
		return set_text(c, f, value, err);
	if (!seen[f - fields]) {
		list_free(list_of(c, f));
		seen[f - fields] = true;
	}
	return list_add(list_of(c, f), value, err);
}

static int apply_arguments(struct config *c, int argc, char **argv, struct err *err)
{
	bool seen[ARRAY_LEN(fields)] = { false };

	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) != 0 || !argv[i][2])
			return fail(err, E_USAGE, argv[i][0] == '-' ? "unknown flag: %s" : "unexpected argument: %s",
				    argv[i]);
		if (apply_flag(c, argc, argv, &i, seen, err) < 0)
			return err->code;
	}
	return OK;
}

/* The values of "what else": help and version win over everything. */
static enum config_action find_action(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return CONFIG_HELP;
		if (!strcmp(argv[i], "--version"))
			return CONFIG_VERSION;
	}
	return CONFIG_RUN;
}

static const char *find_file(int argc, char **argv)
{
	const char *file = NULL;

	for (int i = 1; i < argc; i++) {
		if (!strncmp(argv[i], "--config=", 9))
			file = argv[i] + 9;
		else if (!strcmp(argv[i], "--config") && i + 1 < argc)
			file = argv[++i];
	}
	return file;
}

/* ---- defaults and checks -------------------------------------------------- */

/* NULL also without a home: a fixed place in /tmp could be prepared by others. */
static char *default_path(const char *for_root, const char *variable, const char *fallback, const char *rest)
{
	const char *base = getenv(variable), *home = getenv("HOME");

	if (geteuid() == 0)
		return strdup(for_root);
	if (base && *base == '/')
		return format("%s/%s", base, rest);
	return home && *home == '/' ? format("%s/%s/%s", home, fallback, rest) : NULL;
}

static int default_listen(struct config *c, struct err *err)
{
	CLEANUP(freep)
	char *path = default_path("/run/imaged/imaged.sock", "XDG_RUNTIME_DIR", ".local/run", "imaged/imaged.sock");
	CLEANUP(freep) char *address = path ? format("unix://%s", path) : NULL;

	if (!address)
		return fail(err, E_INVALID, "there is no place for the socket (HOME is not set): give --listen");
	return list_add(&c->listen, address, err);
}

static int apply_defaults(struct config *c, struct err *err)
{
	if (!c->root)
		c->root = default_path("/var/lib/imaged", "XDG_DATA_HOME", ".local/share", "imaged");
	if (!c->root)
		return fail(err, E_INVALID, "there is no place for the images (HOME is not set): give --root");
	if (!c->listen.n && default_listen(c, err) < 0)
		return err->code;
	if (!c->hosts_dir)
		c->hosts_dir = strdup("/etc/imaged/certs.d");
	if (!c->log_format)
		c->log_format = strdup("text");
	if (!c->log_level)
		c->log_level = strdup("info");
	if (!c->hosts_dir || !c->log_format || !c->log_level)
		return fail_nomem(err);
	return OK;
}

static int check(struct config *c, struct err *err)
{
	if (strcmp(c->log_format, "text") != 0 && strcmp(c->log_format, "json") != 0)
		return fail(err, E_INVALID, "log-format must be text or json, not '%s'", c->log_format);
	if (!log_level_parse(c->log_level, &c->level))
		return fail(err, E_INVALID, "log-level must be error, warn, info or debug, not '%s'", c->log_level);
	if (!c->tls_cert != !c->tls_key)
		return fail(err, E_INVALID, "tls-cert and tls-key must be given together");
	if (c->tls_client_ca && !c->tls_cert)
		return fail(err, E_INVALID, "tls-client-ca needs tls-cert and tls-key");
	if (c->tls_client_ca && c->tls_allow_anonymous)
		return fail(err, E_INVALID, "tls-client-ca and tls-allow-anonymous exclude each other");
	if (!*c->root)
		return fail(err, E_INVALID, "root must not be empty");
	if (*c->hosts_dir && *c->hosts_dir != '/')
		return fail(err, E_INVALID, "hosts-dir must be an absolute path, not '%s'", c->hosts_dir);
	return OK;
}

enum { BUILD_PARALLEL_MAX = 1024 };

static int check_parallel(struct config *c, struct err *err)
{
	const char *text = c->build_parallel;
	char *end;
	unsigned long n;

	if (!text)
		return OK;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || n < 1 || n > BUILD_PARALLEL_MAX)
		return fail(err, E_INVALID, "build-parallel must be a number from 1 to %d, not '%s'",
			    BUILD_PARALLEL_MAX, text);
	c->build_parallel_steps = (unsigned)n;
	return OK;
}

/* The network of the machine is what steps have by default: to refuse it by name protects nothing. */
static int check_allowed(struct config *c, struct err *err)
{
	c->build_allow_network_host = c->build_allow.n == 0;
	for (size_t i = 0; i < c->build_allow.n; i++) {
		const char *name = c->build_allow.items[i];

		if (!strcmp(name, "network.host"))
			c->build_allow_network_host = true;
		else if (!strcmp(name, "security.insecure"))
			c->build_allow_security_insecure = true;
		else if (strcmp(name, "none") != 0)
			return fail(err, E_INVALID,
				    "build-allow must be network.host, security.insecure or none, not '%s'", name);
	}
	return OK;
}

static int check_builds(struct config *c, struct err *err)
{
	if (c->build_runtime && *c->build_runtime != '/')
		return fail(err, E_INVALID, "build-runtime must be an absolute path, not '%s'", c->build_runtime);
	if (check_parallel(c, err) < 0 || check_allowed(c, err) < 0)
		return err->code;
	return cache_limits_parse(c->build_cache_max, c->build_cache_unused, &c->build_cache_limits, err);
}

static int check_client_count(const char *key, const char *text, unsigned normal, unsigned *ret_count, struct err *err)
{
	uint32_t n = normal;

	if (text && (!uint32_parse(text, 10, &n) || !n))
		return fail(err, E_INVALID, "%s must be a number from 1, not '%s'", key, text);
	*ret_count = n;
	return OK;
}

static int check_client(struct config *c, struct err *err)
{
	enum { CALLS = 1024, TRANSFERS = 64 };

	c->client_bytes_most = CLIENT_BYTES;
	if (c->client_bytes && (!size_parse(c->client_bytes, &c->client_bytes_most) || c->client_bytes_most <= 0))
		return fail(err, E_INVALID, "client-bytes must be a size as \"256MB\", not '%s'", c->client_bytes);
	if (check_client_count("client-calls", c->client_calls, CALLS, &c->client_calls_most, err) < 0)
		return err->code;
	return check_client_count("client-transfers", c->client_transfers, TRANSFERS, &c->client_transfers_most, err);
}

int config_load(int argc, char **argv, struct config *ret_config, enum config_action *ret_action, struct err *err)
{
	CLEANUP(config_free) struct config c = { 0 };
	const char *file = find_file(argc, argv);

	*ret_action = find_action(argc, argv);
	if (*ret_action != CONFIG_RUN)
		return OK;
	if (apply_file(&c, file ? file : DEFAULT_FILE, file != NULL, err) < 0 ||
	    apply_arguments(&c, argc, argv, err) < 0 || apply_defaults(&c, err) < 0 || check(&c, err) < 0 ||
	    check_builds(&c, err) < 0 || check_client(&c, err) < 0)
		return err->code;
	*ret_config = TAKE(c);
	return OK;
}
