#include "client/cli/filter.h"

#include <ctype.h>

#include "client/cli/format/gotime.h"

/* Keys as they are written, and what they set. */
struct key {
	const char *name;
	unsigned commands; /* bits 1 << enum filter_command */
	int (*set)(struct image_filter *f, char *value, int64_t now_ns, struct err *err);
};

enum { FOR_IMAGES = 1 << FILTER_IMAGES, FOR_PRUNE = 1 << FILTER_PRUNE };

static int append(char ***list, size_t *n, char *value, struct err *err)
{
	char **items = reallocarray(*list, *n + 1, sizeof *items);

	if (!items)
		return fail_nomem(err);
	*list = items;
	items[(*n)++] = value;
	return OK;
}

static int set_reference(struct image_filter *f, char *value, UNUSED int64_t now_ns, struct err *err)
{
	return append(&f->references, &f->message.n_references, value, err);
}

static int set_label(struct image_filter *f, char *value, UNUSED int64_t now_ns, struct err *err)
{
	return append(&f->labels, &f->message.n_labels, value, err);
}

static int set_without_label(struct image_filter *f, char *value, UNUSED int64_t now_ns, struct err *err)
{
	return append(&f->without_labels, &f->message.n_without_labels, value, err);
}

/* To the service "" is no condition at all. */
static int check_image(const char *value, struct err *err)
{
	return *value ? OK : fail(err, E_INVALID_REFERENCE, "invalid reference format");
}

static int set_before(struct image_filter *f, char *value, UNUSED int64_t now_ns, struct err *err)
{
	f->message.before = value;
	return check_image(value, err);
}

static int set_since(struct image_filter *f, char *value, UNUSED int64_t now_ns, struct err *err)
{
	f->message.since = value;
	return check_image(value, err);
}

static int set_until(struct image_filter *f, char *value, int64_t now_ns, struct err *err)
{
	int r;

	if (f->message.until)
		return fail(err, E_INVALID_FILTER, "more than one until filter specified");
	google__protobuf__timestamp__init(&f->until);
	r = time_parse_filter(value, now_ns, &f->until.seconds, &f->until.nanos, err);
	if (!r)
		f->message.until = &f->until;
	return r;
}

static int bad_dangling(const char *values, struct err *err)
{
	return fail(err, E_INVALID_FILTER, "invalid filter 'dangling=[%s]'", values);
}

static int set_dangling(struct image_filter *f, char *value, UNUSED int64_t now_ns, struct err *err)
{
	bool yes = !strcmp(value, "true") || !strcmp(value, "1");
	Imaged__V1__Choice choice = yes ? IMAGED__V1__CHOICE__CHOICE_YES : IMAGED__V1__CHOICE__CHOICE_NO;

	if (!yes && strcmp(value, "false") && strcmp(value, "0"))
		return bad_dangling(value, err);
	if (f->message.dangling && f->message.dangling != choice)
		return bad_dangling("false true", err);
	f->message.dangling = choice;
	return OK;
}

static const struct key keys[] = {
	{ "before", FOR_IMAGES, set_before },		{ "dangling", FOR_IMAGES | FOR_PRUNE, set_dangling },
	{ "label", FOR_IMAGES | FOR_PRUNE, set_label }, { "label!", FOR_IMAGES | FOR_PRUNE, set_without_label },
	{ "reference", FOR_IMAGES, set_reference },	{ "since", FOR_IMAGES, set_since },
	{ "until", FOR_IMAGES | FOR_PRUNE, set_until },
};

/* A copy, owned by the filter. */
static char *keep(struct image_filter *f, const char *text, size_t len, struct err *err)
{
	char *copy = strndup(text, len);

	if (!copy || append(&f->strings, &f->n_strings, copy, err)) {
		free(copy);
		fail_nomem(err);
		return NULL;
	}
	return copy;
}

static char *keep_trimmed(struct image_filter *f, const char *text, size_t len, struct err *err)
{
	while (len && isspace((unsigned char)*text)) {
		text++;
		len--;
	}
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	return keep(f, text, len, err);
}

static const struct key *find_key(const char *name, enum filter_command command)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (!strcmp(keys[i].name, name) && (keys[i].commands & 1u << command))
			return &keys[i];
	return NULL;
}

static int add(struct image_filter *f, const char *filter, enum filter_command command, int64_t now_ns, struct err *err)
{
	const char *equals = strchr(filter, '=');
	char *name = keep_trimmed(f, filter, (size_t)(equals - filter), err);
	char *value = name ? keep_trimmed(f, equals + 1, strlen(equals + 1), err) : NULL;
	const struct key *key;

	if (!value)
		return E_NO_MEMORY;
	for (char *p = name; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	key = find_key(name, command);
	if (!key)
		return fail(err, E_INVALID_FILTER, "invalid filter '%s'", name);
	return key->set(f, value, now_ns, err);
}

static void link_lists(struct image_filter *f)
{
	f->message.references = f->references;
	f->message.labels = f->labels;
	f->message.without_labels = f->without_labels;
}

int image_filter_parse(const struct strings *filters, enum filter_command command, int64_t now_ns,
		       struct image_filter *ret_filter, struct err *err)
{
	int r = OK;

	*ret_filter = (struct image_filter){ 0 };
	imaged__v1__image_filter__init(&ret_filter->message);
	for (size_t i = 0; i < filters->n && !r; i++)
		r = add(ret_filter, filters->items[i], command, now_ns, err);
	link_lists(ret_filter);
	return r;
}

int image_filter_add_reference(struct image_filter *f, const char *pattern, struct err *err)
{
	char *copy = keep(f, pattern, strlen(pattern), err);
	int r = copy ? set_reference(f, copy, 0, err) : E_NO_MEMORY;

	link_lists(f);
	return r;
}

void image_filter_free(struct image_filter *f)
{
	for (size_t i = 0; i < f->n_strings; i++)
		free(f->strings[i]);
	free(f->strings);
	free(f->references);
	free(f->labels);
	free(f->without_labels);
	*f = (struct image_filter){ 0 };
}
