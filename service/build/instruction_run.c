/* RUN: its flags, and here-documents, which the shell reads or which are scripts. */
#include "service/build/csv.h"
#include "service/build/instruction.h"
#include "service/build/number.h"
#include "service/build/suggest.h"

/* ---- --device --------------------------------------------------------------- */

static int set_device_option(const char *field, struct device *d, struct err *err)
{
	static const char *const keys[] = { "name", "required" };
	size_t len = strcspn(field, "=");
	struct bytes key = bytes_first(bytes_of(field), len);
	const char *value = field[len] ? field + len + 1 : NULL;
	struct suggestion meant;

	if (bytes_are_nocase(key, "required")) {
		d->required = true;
		if (!value || bool_parse(value, &d->required))
			return OK;
		return fail(err, E_INVALID, "invalid value for required: %.128s", value);
	}
	if (value && bytes_are_nocase(key, "name") && *d->name)
		return fail(err, E_INVALID, "device name already set to %.128s", d->name);
	if (!*d->name) {
		d->name = value && bytes_are_nocase(key, "name") ? value : field;
		return OK;
	}
	if (!value)
		return fail(err, E_INVALID, "invalid field '%.128s' must be a key=value pair", field);
	return fail(err, E_INVALID, "unexpected key '%.*s' in '%.128s'%s", (int)min_size(len, 64), field, field,
		    suggest(key, keys, ARRAY_LEN(keys), false, &meant));
}

static int parse_device(const struct arguments *g, const char *text, struct device *d, struct err *err)
{
	struct string_list fields;
	int r = csv_fields(text, g->arena, &fields, err);

	*d = (struct device){ .name = "" };
	if (r == E_INVALID)
		return err_wrap(err, "failed to parse csv devices");
	for (size_t i = 0; r == OK && i < fields.n; i++)
		r = set_device_option(fields.items[i], d, err);
	return r;
}

static int parse_devices(const struct arguments *g, const struct string_list *texts, struct run_options *o,
			 struct err *err)
{
	int r = OK;

	o->devices = arena_array(g->arena, texts->n, sizeof *o->devices);
	if (!o->devices)
		return fail_nomem(err);
	for (; r == OK && o->n_devices < texts->n; o->n_devices++)
		r = parse_device(g, texts->items[o->n_devices], &o->devices[o->n_devices], err);
	return r;
}

/* ---- the other flags -------------------------------------------------------- */

static int scan_mounts(const struct arguments *g, struct run_options *o, struct err *err)
{
	o->mount_sources = arena_array(g->arena, o->mounts.n, sizeof *o->mount_sources);
	if (!o->mount_sources)
		return fail_nomem(err);
	for (size_t i = 0; i < o->mounts.n; i++) {
		struct mount m;
		int r = mount_scan(o->mounts.items[i], g->arena, &m, err);

		if (r != OK)
			return r;
		o->mount_sources[i] = m.from;
	}
	return OK;
}

static bool is_one_of(const char *text, const char *const *choices)
{
	for (; *choices; choices++)
		if (!strcmp(text, *choices))
			return true;
	return false;
}

static int set_modes(const struct flag_value *network, const struct flag_value *security, struct run_options *o,
		     struct err *err)
{
	static const char *const networks[] = { "default", "none", "host", NULL };
	static const char *const securities[] = { "sandbox", "insecure", NULL };

	o->network = network->given ? network->text : "default";
	o->security = security->given ? security->text : "sandbox";
	if (!is_one_of(o->network, networks))
		return fail(err, E_INVALID, "invalid network mode \"%.128s\"", o->network);
	if (!is_one_of(o->security, securities))
		return fail(err, E_INVALID, "security \"%.128s\" is not valid", o->security);
	return OK;
}

static int parse_flags(const struct arguments *g, struct run_options *o, struct err *err)
{
	enum { DEVICE, MOUNT, NETWORK, SECURITY, N };
	static const struct flag_spec specs[N] = {
		[DEVICE] = { "device", FLAG_TEXTS },
		[MOUNT] = { "mount", FLAG_TEXTS },
		[NETWORK] = { "network", FLAG_TEXT },
		[SECURITY] = { "security", FLAG_TEXT },
	};
	struct flag_value v[N];
	int r = flags_parse(&g->node->flags, specs, N, v, g->arena, err);

	if (r != OK)
		return r;
	o->mounts = v[MOUNT].texts;
	r = scan_mounts(g, o, err);
	if (r == OK)
		r = set_modes(&v[NETWORK], &v[SECURITY], o, err);
	return r == OK ? parse_devices(g, &v[DEVICE].texts, o, err) : r;
}

/* ---- the whole -------------------------------------------------------------- */

static int take_files(const struct arguments *g, struct err *err)
{
	const struct node *n = g->node;
	struct instruction *to = g->to;
	int r = OK;

	to->files = arena_array(g->arena, n->n_heredocs, sizeof *to->files);
	if (!to->files)
		return fail_nomem(err);
	for (; r == OK && to->n_files < n->n_heredocs; to->n_files++) {
		const struct heredoc *doc = &n->heredocs[to->n_files];
		struct inline_file *file = &to->files[to->n_files];

		file->expand = doc->expand;
		file->chomp = doc->chomp;
		r = arguments_text(g, doc->name, &file->name, err);
		if (r == OK)
			r = arguments_text(g, doc->content, &file->content, err);
	}
	return r;
}

int run_parse(const struct arguments *g, struct err *err)
{
	int r = parse_flags(g, &g->to->run, err);

	if (r == OK)
		r = take_files(g, err);
	g->to->for_shell = !g->node->json;
	return r == OK ? arguments_words(g, 0, 0, &g->to->words, err) : r;
}
