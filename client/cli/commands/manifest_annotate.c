#include "client/cli/commands/commands.h"
#include "client/cli/manifest_fetch.h"

struct options {
	const char *arch, *os, *os_version, *variant;
	struct strings os_features;
};

/* What docker takes: Go's list of ports, without those that no image is for. */
static bool is_known(const Imaged__V1__Platform *p)
{
	static const char *const known[][2] = {
		{ "darwin", "386" },	  { "darwin", "amd64" },  { "darwin", "arm" },	   { "darwin", "arm64" },
		{ "dragonfly", "amd64" }, { "freebsd", "386" },	  { "freebsd", "amd64" },  { "freebsd", "arm" },
		{ "linux", "386" },	  { "linux", "amd64" },	  { "linux", "arm" },	   { "linux", "arm64" },
		{ "linux", "ppc64le" },	  { "linux", "mips64" },  { "linux", "mips64le" }, { "linux", "riscv64" },
		{ "linux", "s390x" },	  { "netbsd", "386" },	  { "netbsd", "amd64" },   { "netbsd", "arm" },
		{ "openbsd", "386" },	  { "openbsd", "amd64" }, { "openbsd", "arm" },	   { "plan9", "386" },
		{ "plan9", "amd64" },	  { "solaris", "amd64" }, { "windows", "386" },	   { "windows", "amd64" },
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!strcmp(p->os, known[i][0]) && !strcmp(p->architecture, known[i][1]))
			return true;
	return false;
}

static void set(char **field, const char *value)
{
	if (value && *value)
		*field = (char *)value;
}

static bool has_feature(const Imaged__V1__Platform *p, const char *feature)
{
	for (size_t i = 0; i < p->n_os_features; i++)
		if (!strcmp(p->os_features[i], feature))
			return true;
	return false;
}

static int add_features(Imaged__V1__Platform *p, const struct strings *more, struct arena *a, struct err *err)
{
	char **all = arena_array(a, p->n_os_features + more->n + 1, sizeof(*all));

	if (!all)
		return fail_nomem(err);
	if (p->n_os_features)
		memcpy(all, p->os_features, p->n_os_features * sizeof(*all));
	p->os_features = all;
	for (size_t i = 0; i < more->n; i++)
		if (!has_feature(p, more->items[i]))
			all[p->n_os_features++] = (char *)more->items[i];
	return OK;
}

static int annotate(const struct options *o, Imaged__V1__Platform *p, struct arena *a, struct err *err)
{
	set(&p->os, o->os);
	set(&p->architecture, o->arch);
	set(&p->variant, o->variant);
	set(&p->os_version, o->os_version);
	if (add_features(p, &o->os_features, a, err) < 0)
		return err->code;
	if (is_known(p))
		return OK;
	return fail(err, E_INVALID, "manifest entry for image has unsupported os/arch combination: %s/%s",
		    o->os ? o->os : "", o->arch ? o->arch : "");
}

static int change(const char *root, const struct options *o, char **argv, struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	Imaged__V1__RemoteManifest *m;
	struct reference list, ref;
	int r;

	arena_init(&a, MANIFEST_ARENA_MAX);
	if (manifest_reference(argv[0], &list, err))
		return err_wrap(err, "annotate: error parsing name for manifest list %s", argv[0]);
	if (manifest_reference(argv[1], &ref, err))
		return err_wrap(err, "annotate: error parsing name for manifest %s", argv[1]);
	r = manifest_store_get(root, &list, &ref, &a, &m, err);
	if (r == E_NOT_FOUND)
		return fail(err, r, "manifest for image %s does not exist in %s", argv[1], argv[0]);
	if (r == OK)
		r = annotate(o, m->descriptor->platform, &a, err);
	return r == OK ? manifest_store_put(root, &list, &ref, m, err) : r;
}

static int run(struct cli *cli, const void *options, UNUSED int argc, char **argv)
{
	struct err err = ERR_INIT;
	char root[4096];

	cli_config(cli);
	return change(cli_config_dir(cli, root), options, argv, &err) < 0 ? cli_fail(&err) : 0;
}

static const struct flag flags[] = {
	{ "arch", 0, FLAG_STRING, offsetof(struct options, arch), "Set architecture", NULL },
	{ "os", 0, FLAG_STRING, offsetof(struct options, os), "Set operating system", NULL },
	{ "os-features", 0, FLAG_STRINGS, offsetof(struct options, os_features), "Set operating system feature", NULL },
	{ "os-version", 0, FLAG_STRING, offsetof(struct options, os_version), "Set operating system version", NULL },
	{ "variant", 0, FLAG_STRING, offsetof(struct options, variant), "Set architecture variant", NULL },
};

const struct command_spec spec_manifest_annotate = {
	.usage = "[OPTIONS] MANIFEST_LIST MANIFEST",
	.summary = "Add additional information to a local image manifest",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.min_args = 2,
	.max_args = 2,
	.options_size = sizeof(struct options),
	.run = run,
};
