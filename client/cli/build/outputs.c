#include "client/cli/build/outputs.h"

#include <stdio.h>
#include <sys/stat.h>

#include "client/cli/build/fields.h"
#include "client/cli/cli.h"

/* ---- what was asked for -------------------------------------------------------------------------- */

static const struct {
	const char *type;
	Imaged__V1__BuildOutput__Kind kind;
} kinds[] = {
	{ "image", IMAGED__V1__BUILD_OUTPUT__KIND__KIND_IMAGE },
	{ "docker", IMAGED__V1__BUILD_OUTPUT__KIND__KIND_DOCKER },
	{ "oci", IMAGED__V1__BUILD_OUTPUT__KIND__KIND_OCI },
	{ "tar", IMAGED__V1__BUILD_OUTPUT__KIND__KIND_TAR },
	{ "local", IMAGED__V1__BUILD_OUTPUT__KIND__KIND_LOCAL },
	{ "registry", IMAGED__V1__BUILD_OUTPUT__KIND__KIND_REGISTRY },
};

static int set_kind(struct build_output *out, const char *type, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!strcmp(kinds[i].type, type)) {
			out->message.kind = kinds[i].kind;
			return OK;
		}
	return fail(err, E_INVALID, "failed to solve: exporter \"%.128s\" could not be found", type);
}

static int set_compression(Imaged__V1__BuildOutput *m, const char *value, struct err *err)
{
	if (!strcmp(value, "gzip"))
		m->compression = IMAGED__V1__COMPRESSION__COMPRESSION_GZIP;
	else if (!strcmp(value, "zstd"))
		m->compression = IMAGED__V1__COMPRESSION__COMPRESSION_ZSTD;
	else if (!strcmp(value, "uncompressed"))
		m->compression = IMAGED__V1__COMPRESSION__COMPRESSION_NONE;
	else
		return fail(err, E_INVALID, "failed to solve: unsupported layer compression type %.128s", value);
	return OK;
}

static int set_level(Imaged__V1__BuildOutput *m, const char *value, struct err *err)
{
	char *end;
	long level = strtol(value, &end, 10);

	if (!*value || *end || level < 0 || level > 100)
		return fail(err, E_INVALID, "failed to solve: non-integer value %.64s specified for compression-level",
			    value);
	m->compression_level = (int32_t)level;
	return OK;
}

/* Comma-separated, in the arena. */
static int set_names(Imaged__V1__BuildOutput *m, const char *value, struct arena *a, struct err *err)
{
	char *rest = arena_string(a, value), *name;

	m->names = arena_array(a, strlen(value) + 1, sizeof(char *));
	if (!rest || !m->names)
		return fail_nomem(err);
	while ((name = strsep(&rest, ",")))
		if (*name)
			m->names[m->n_names++] = name;
	return OK;
}

/* "annotation.KEY" and "annotation-TYPE.KEY", the latter as "TYPE:KEY". */
static int add_annotation(Imaged__V1__BuildOutput *m, const char *key, const char *value, struct arena *a,
			  struct err *err)
{
	Imaged__V1__BuildOutput__AnnotationsEntry *e = arena_alloc(a, sizeof *e);
	const char *rest = key + strlen("annotation"), *dot = strchr(rest, '.');

	if (!m->annotations)
		m->annotations = arena_array(a, FIELDS_MAX, sizeof *m->annotations);
	if (!e || !m->annotations)
		return fail_nomem(err);
	if (!dot || !dot[1] || (*rest != '.' && *rest != '-' && *rest != '['))
		return fail(err, E_INVALID, "failed to solve: unrecognized annotation %.128s", key);
	imaged__v1__build_output__annotations_entry__init(e);
	e->key = *rest == '-' ? arena_printf(a, "%.*s:%s", (int)(dot - rest - 1), rest + 1, dot + 1)
			      : arena_string(a, dot + 1);
	e->value = (char *)value;
	m->annotations[m->n_annotations++] = e;
	return e->key ? OK : fail_nomem(err);
}

static int set_attribute(struct build_output *out, const struct field *f, struct arena *a, struct err *err)
{
	Imaged__V1__BuildOutput *m = &out->message;

	if (!strcmp(f->key, "dest"))
		out->dest = f->value;
	else if (!strcmp(f->key, "compression"))
		return set_compression(m, f->value, err);
	else if (!strcmp(f->key, "compression-level"))
		return set_level(m, f->value, err);
	else if (!strcmp(f->key, "name"))
		return set_names(m, f->value, a, err);
	else if (!strncmp(f->key, "annotation", strlen("annotation")))
		return add_annotation(m, f->key, f->value, a, err);
	return OK;
}

static int set_switches(struct build_output *out, const struct fields *f, bool *ret_push, struct err *err)
{
	Imaged__V1__BuildOutput *m = &out->message;
	bool split, force, oci, rewrite, tar, store;

	if (fields_bool(f, "push", false, ret_push, err) < 0 ||
	    fields_bool(f, "force-compression", false, &force, err) < 0 ||
	    fields_bool(f, "oci-mediatypes", true, &oci, err) < 0 ||
	    fields_bool(f, "rewrite-timestamp", false, &rewrite, err) < 0 ||
	    fields_bool(f, "platform-split", false, &split, err) < 0 || fields_bool(f, "tar", true, &tar, err) < 0 ||
	    fields_bool(f, "store", true, &store, err) < 0)
		return err->code;
	if (!tar)
		return fail(err, E_UNSUPPORTED, "tar=false: write an archive, and unpack it");
	m->force_compression = force;
	m->docker_media_types = !oci;
	m->rewrite_timestamp = rewrite;
	m->platform_split = split;
	m->no_platform_split = fields_get(f, "platform-split") && !split;
	m->no_store = !store;
	return OK;
}

static struct build_output *add_output(struct build_outputs *outputs, struct err *err)
{
	struct build_output *out = &outputs->items[outputs->n];

	if (outputs->n == OUTPUTS_MAX) {
		fail(err, E_LIMIT, "more than %d outputs", OUTPUTS_MAX);
		return NULL;
	}
	*out = (struct build_output){ .file = OUTPUT_FILE_INIT };
	imaged__v1__build_output__init(&out->message);
	outputs->messages[outputs->n++] = &out->message;
	return out;
}

static int add_kind(struct build_outputs *outputs, Imaged__V1__BuildOutput__Kind kind, struct err *err)
{
	struct build_output *out = add_output(outputs, err);

	if (!out)
		return E_LIMIT;
	out->message.kind = kind;
	return OK;
}

static const char *type_of(const struct build_output *out)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i].kind == out->message.kind)
			return kinds[i].type;
	return "";
}

static int set_destination(struct build_output *out, struct err *err)
{
	struct stat st;

	switch (out->message.kind) {
	case IMAGED__V1__BUILD_OUTPUT__KIND__KIND_LOCAL:
		if (!out->dest || !*out->dest)
			return fail(err, E_INVALID, "dest is required for local exporter");
		if (!strcmp(out->dest, "-"))
			return fail(err, E_INVALID, "dest cannot be stdout for local exporter");
		if (!stat(out->dest, &st) && !S_ISDIR(st.st_mode))
			return fail(err, E_INVALID, "destination directory %.512s is not a directory", out->dest);
		out->to = OUTPUT_DIRECTORY;
		return OK;
	case IMAGED__V1__BUILD_OUTPUT__KIND__KIND_DOCKER:
		if (!out->dest) { /* what docker would load is here already */
			out->message.kind = IMAGED__V1__BUILD_OUTPUT__KIND__KIND_IMAGE;
			return OK;
		}
		__attribute__((fallthrough));
	case IMAGED__V1__BUILD_OUTPUT__KIND__KIND_OCI:
	case IMAGED__V1__BUILD_OUTPUT__KIND__KIND_TAR:
		out->to = out->dest && *out->dest && strcmp(out->dest, "-") != 0 ? OUTPUT_FILE : OUTPUT_STDOUT;
		return OK;
	default:
		return OK;
	}
}

/* "DIR", "-": a word alone is a place. */
static void take_short_form(struct build_output *out, const char *text)
{
	out->dest = text;
	out->message.kind = strcmp(text, "-") != 0 ? IMAGED__V1__BUILD_OUTPUT__KIND__KIND_LOCAL
						   : IMAGED__V1__BUILD_OUTPUT__KIND__KIND_TAR;
}

/* Beside what it is; instead of that where it is not to be kept here. */
static int push_too(struct build_outputs *outputs, struct build_output *out, struct err *err)
{
	struct build_output *pushed = out->message.no_store ? out : add_output(outputs, err);

	if (!pushed)
		return E_LIMIT;
	pushed->message = out->message;
	pushed->message.kind = IMAGED__V1__BUILD_OUTPUT__KIND__KIND_REGISTRY;
	return OK;
}

static int take_fields(struct build_outputs *outputs, struct build_output *out, const struct fields *f, struct arena *a,
		       struct err *err)
{
	const char *type = fields_get(f, "type");
	bool push;

	for (size_t i = 0; i < f->n; i++)
		if (!f->items[i].value)
			return fail(err, E_INVALID, "invalid value %.128s", f->items[i].key);
	if (!type)
		return fail(err, E_INVALID, "type is required for output");
	if (set_kind(out, type, err) < 0 || set_switches(out, f, &push, err) < 0)
		return err->code;
	for (size_t i = 0; i < f->n; i++)
		if (set_attribute(out, &f->items[i], a, err) < 0)
			return err->code;
	return push && out->message.kind == IMAGED__V1__BUILD_OUTPUT__KIND__KIND_IMAGE ? push_too(outputs, out, err)
										       : OK;
}

static int parse_one(struct build_outputs *outputs, const char *text, struct arena *a, struct err *err)
{
	struct build_output *out = add_output(outputs, err);
	struct fields f;

	if (!out || fields_parse(text, a, &f, err) < 0)
		return err->code;
	if (f.n == 1 && !f.items[0].value)
		take_short_form(out, text);
	else if (take_fields(outputs, out, &f, a, err) < 0)
		return err->code;
	return set_destination(out, err);
}

static bool has_names(const struct build_outputs *outputs)
{
	for (size_t i = 0; i < outputs->n; i++)
		if (outputs->items[i].message.kind == IMAGED__V1__BUILD_OUTPUT__KIND__KIND_REGISTRY &&
		    !outputs->items[i].message.n_names)
			return false;
	return true;
}

int build_outputs_parse(struct build_outputs *outputs, const struct build_options *o, struct arena *a, struct err *err)
{
	for (size_t i = 0; i < o->output.n; i++)
		if (parse_one(outputs, o->output.items[i], a, err) < 0)
			return err->code;
	if ((o->load || (o->push && !outputs->n)) &&
	    add_kind(outputs, IMAGED__V1__BUILD_OUTPUT__KIND__KIND_IMAGE, err) < 0)
		return err->code;
	if (o->push && add_kind(outputs, IMAGED__V1__BUILD_OUTPUT__KIND__KIND_REGISTRY, err) < 0)
		return err->code;
	if (!o->tag.n && !has_names(outputs))
		return fail(err, E_INVALID, "tag is needed when pushing to registry");
	return OK;
}

int build_outputs_add_cache(struct build_outputs *outputs, const char *path, struct err *err)
{
	size_t i = outputs->n + outputs->n_more;

	if (i >= OUTPUTS_MAX)
		return fail(err, E_LIMIT, "more than %d outputs", OUTPUTS_MAX);
	outputs->items[i] = (struct build_output){
		.file = OUTPUT_FILE_INIT,
		.to = path ? OUTPUT_DIRECTORY : OUTPUT_SERVICE,
		.dest = path,
	};
	outputs->n_more++;
	return OK;
}

int build_outputs_check(const struct build_outputs *outputs, struct err *err)
{
	size_t to_stdout = 0;

	for (size_t i = 0; i < outputs->n; i++) {
		const struct build_output *out = &outputs->items[i];

		if (out->to == OUTPUT_FILE && output_file_check(out->dest, err) < 0)
			return err->code;
		if (out->to != OUTPUT_STDOUT)
			continue;
		if (isatty(STDOUT_FILENO))
			return fail(err, E_INVALID,
				    "dest file is required for %s exporter. refusing to write to console",
				    type_of(out));
		if (to_stdout++)
			return fail(err, E_INVALID, "only one output can go to stdout");
	}
	return OK;
}

/* ---- what comes -------------------------------------------------------------------------------------- */

/* NULL: it was not asked for. */
static struct build_output *output_of(struct build_outputs *outputs, uint32_t number, struct err *err)
{
	if (number < outputs->n + outputs->n_more && outputs->items[number].to != OUTPUT_SERVICE)
		return &outputs->items[number];
	fail(err, E_INTERNAL, "the service sends an output that was not asked for");
	return NULL;
}

static int on_entry(struct build_outputs *outputs, const Imaged__V1__OutputEntry *m, struct err *err)
{
	struct build_output *out = output_of(outputs, m->output, err);

	if (!out)
		return E_INTERNAL;
	if (out->to != OUTPUT_DIRECTORY)
		return fail(err, E_INTERNAL, "the service sends files of an archive");
	if (!out->tree && output_tree_open(out->dest, &out->tree, err) < 0)
		return err->code;
	return output_tree_entry(out->tree, m, err);
}

static int write_file(struct build_output *out, const Imaged__V1__OutputData *m, struct err *err)
{
	if (out->file.fd < 0 && output_file_open(out->dest, &out->file, err) < 0)
		return err->code;
	return output_file_write(&out->file, m->data.data, m->data.len, err);
}

static int on_data(struct build_outputs *outputs, const Imaged__V1__OutputData *m, struct err *err)
{
	struct build_output *out = output_of(outputs, m->output, err);

	if (!out)
		return E_INTERNAL;
	if (out->to == OUTPUT_DIRECTORY)
		return out->tree ? output_tree_data(out->tree, (struct bytes){ m->data.data, m->data.len }, m->end, err)
				 : fail(err, E_INTERNAL, "the service sends bytes of no file");
	out->ended |= m->end;
	if (out->to == OUTPUT_FILE)
		return write_file(out, m, err);
	cli_write(m->data.data, m->data.len);
	return cli_output_failed() ? fail(err, E_IO, "write to standard output") : OK;
}

int build_outputs_take(struct build_outputs *outputs, const Imaged__V1__BuildEvent *event, bool *ret_taken,
		       struct err *err)
{
	*ret_taken = true;
	switch (event->event_case) {
	case IMAGED__V1__BUILD_EVENT__EVENT_OUTPUT_ENTRY:
		return on_entry(outputs, event->output_entry, err);
	case IMAGED__V1__BUILD_EVENT__EVENT_OUTPUT_DATA:
		return on_data(outputs, event->output_data, err);
	default:
		*ret_taken = false;
		return OK;
	}
}

static int finish(struct build_output *out, struct err *err)
{
	if (out->to == OUTPUT_DIRECTORY) {
		if (!out->tree && output_tree_open(out->dest, &out->tree, err) < 0)
			return err->code;
		return output_tree_finish(out->tree, err);
	}
	if (out->to != OUTPUT_SERVICE && !out->ended)
		return fail(err, E_INTERNAL, "the service has not sent the end of an output");
	return out->to == OUTPUT_FILE ? output_file_finish(&out->file, err) : OK;
}

int build_outputs_finish(struct build_outputs *outputs, struct err *err)
{
	for (size_t i = 0; i < outputs->n + outputs->n_more; i++)
		if (finish(&outputs->items[i], err) < 0)
			return err->code;
	return OK;
}

void build_outputs_free(struct build_outputs *outputs)
{
	for (size_t i = 0; i < outputs->n + outputs->n_more; i++) {
		output_tree_free(outputs->items[i].tree);
		output_file_drop(&outputs->items[i].file);
	}
	*outputs = (struct build_outputs){ 0 };
}
