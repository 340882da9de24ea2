#include "store/image/pins.h"

#include <stdio.h>

#include "proto/runtime/buf.h"
#include "store/image/name.h"
#include "store/internal.h"

enum { GLOB_MAX = REFERENCE_NAME_MAX + 1 + REFERENCE_TAG_MAX };

struct rule {
	char *text;	     /* the flag and its value */
	const char *pattern; /* in the text: a canonical name, a glob, or a label */
	bool is_glob;
};

struct pins {
	struct rule *names, *labels;
	size_t n_names, n_labels;
};

/* ---- rules -------------------------------------------------------------------------------- */

static int add_rule(struct rule *rules, size_t *n, const char *flag, const char *pattern, struct err *err)
{
	struct rule *r = &rules[*n];

	r->text = format("%s %s", flag, pattern);
	if (!r->text)
		return fail_nomem(err);
	r->pattern = r->text + strlen(flag) + 1;
	++*n;
	return OK;
}

/* Of the characters that names are made of; so one that could match nothing is told. */
static int add_glob(struct pins *p, const char *text, struct err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:@[]*?";

	if (strlen(text) > GLOB_MAX || text[strspn(text, allowed)])
		return fail(err, E_INVALID, "--pin: '%.64s' is neither a reference nor a glob of names with * and ?",
			    text);
	p->names[p->n_names].is_glob = true;
	return add_rule(p->names, &p->n_names, "--pin", text, err);
}

static int add_reference(struct pins *p, const char *flag, const char *text, struct err *err)
{
	char name[REFERENCE_TEXT_MAX];
	struct reference ref;

	if (reference_parse(text, &ref, err) < 0)
		return err_wrap(err, "%s: '%.64s'", flag, text);
	reference_default_tag(&ref);
	if (name_text(&ref, name, err) < 0)
		return err_wrap(err, "%s: '%.64s'", flag, text);
	return add_rule(p->names, &p->n_names, flag, name, err);
}

static int add_label(struct pins *p, const char *text, struct err *err)
{
	if (!*text || *text == '=')
		return fail(err, E_INVALID, "--pin-label: '%.64s' names no label (KEY or KEY=VALUE)", text);
	return add_rule(p->labels, &p->n_labels, "--pin-label", text, err);
}

static int add_all(struct pins *p, const struct pin_options *o, struct err *err)
{
	int r = o->sandbox_image ? add_reference(p, "--sandbox-image", o->sandbox_image, err) : OK;

	for (size_t i = 0; r == OK && i < o->n_names; i++)
		r = strpbrk(o->names[i], "*?") ? add_glob(p, o->names[i], err)
					       : add_reference(p, "--pin", o->names[i], err);
	for (size_t i = 0; r == OK && i < o->n_labels; i++)
		r = add_label(p, o->labels[i], err);
	return r;
}

int pins_new(const struct pin_options *options, struct pins **ret_pins, struct err *err)
{
	CLEANUP(pins_freep) struct pins *p = calloc(1, sizeof *p);

	if (!p)
		return fail_nomem(err);
	p->names = calloc(options->n_names + 1, sizeof *p->names); /* one for the sandbox */
	p->labels = calloc(options->n_labels + 1, sizeof *p->labels);
	if (!p->names || !p->labels)
		return fail_nomem(err);
	if (add_all(p, options, err) < 0)
		return err->code;
	*ret_pins = TAKE(p);
	return OK;
}

static void rules_free(struct rule *rules, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(rules[i].text);
	free(rules);
}

void pins_free(struct pins *p)
{
	if (!p)
		return;
	rules_free(p->names, p->n_names);
	rules_free(p->labels, p->n_labels);
	free(p);
}

void pins_freep(struct pins **p)
{
	pins_free(*p);
}

void store_set_pins(struct store *s, const struct pins *p)
{
	s->pins = p;
}

/* ---- matching ------------------------------------------------------------------------------ */

/* Only the last star is ever moved on: what came before it stays where it first fitted. */
static bool glob_matches(const char *glob, const char *text)
{
	const char *star = NULL, *from = NULL;

	while (*text) {
		if (*glob == '*') {
			star = glob++;
			from = text;
		} else if (*glob == '?' || *glob == *text) {
			glob++;
			text++;
		} else if (star) {
			glob = star + 1;
			text = ++from;
		} else {
			return false;
		}
	}
	return !glob[strspn(glob, "*")];
}

static bool rule_names(const struct rule *r, const char *name, const char *familiar)
{
	if (!r->is_glob)
		return !strcmp(r->pattern, name);
	return glob_matches(r->pattern, name) || glob_matches(r->pattern, familiar);
}

const char *pins_match_name(const struct pins *p, const char *name)
{
	char familiar[REFERENCE_TEXT_MAX];

	if (!p || !p->n_names)
		return NULL;
	name_familiar(name, familiar);
	for (size_t i = 0; i < p->n_names; i++)
		if (rule_names(&p->names[i], name, familiar))
			return p->names[i].text;
	return NULL;
}

static bool label_matches(const char *wanted, const Imaged__Store__V1__ImageRecord *record)
{
	size_t len = strcspn(wanted, "=");

	for (size_t i = 0; i < record->n_labels; i++) {
		const char *key = record->labels[i]->key, *value = record->labels[i]->value;

		if (strlen(key) == len && !memcmp(key, wanted, len))
			return !wanted[len] || !strcmp(wanted + len + 1, value);
	}
	return false;
}

const char *pins_match(const struct pins *p, char *const *names, size_t n_names,
		       const Imaged__Store__V1__ImageRecord *record)
{
	const char *rule = NULL;

	for (size_t i = 0; p && !rule && i < n_names; i++)
		rule = pins_match_name(p, names[i]);
	for (size_t i = 0; p && !rule && i < p->n_labels; i++)
		if (label_matches(p->labels[i].pattern, record))
			rule = p->labels[i].text;
	return rule;
}
