#include "client/cli/docs/catalog.h"

#include "client/cli/global_flags.h"

static int add_path(struct strings *list, const char *path, struct err *err)
{
	char *copy = strdup(path);
	const char **items = copy ? reallocarray(list->items, list->n + 1, sizeof *items) : NULL;

	if (!items) {
		free(copy);
		return fail_nomem(err);
	}
	list->items = items;
	items[list->n++] = copy;
	return OK;
}

static struct catalog_entry *entry_of(struct catalog *c, const struct command *command)
{
	struct catalog_entry *entries;

	for (size_t i = 0; i < c->n; i++)
		if (c->entries[i].command == command)
			return &c->entries[i];
	entries = reallocarray(c->entries, c->n + 1, sizeof *entries);
	if (!entries)
		return NULL;
	c->entries = entries;
	entries[c->n] = (struct catalog_entry){ .command = command };
	return &entries[c->n++];
}

static int add(struct catalog *c, const struct command *command, const char *path, struct err *err)
{
	struct catalog_entry *e = entry_of(c, command);

	return e ? add_path(&e->paths, path, err) : fail_nomem(err);
}

static int walk(struct catalog *c, const struct command *table, const char *group, struct err *err);

static int walk_name(struct catalog *c, const struct command *command, const char *group, const char *name,
		     struct err *err)
{
	CLEANUP(freep) char *path = format("%s%s%s", group, *group ? " " : "", name);

	if (!path)
		return fail_nomem(err);
	if (add(c, command, path, err))
		return err->code;
	return command->subcommands ? walk(c, command->subcommands, path, err) : OK;
}

static int walk(struct catalog *c, const struct command *table, const char *group, struct err *err)
{
	for (; table->name; table++) {
		if (walk_name(c, table, group, table->name, err))
			return err->code;
		if (table->alias && walk_name(c, table, group, table->alias, err))
			return err->code;
	}
	return OK;
}

static size_t n_words(const struct catalog_entry *e)
{
	size_t n = 1;

	for (const char *p = e->paths.items[0]; *p; p++)
		n += *p == ' ';
	return n;
}

/* Of the rows that run the same: the first of the shortest. */
static struct catalog_entry *main_row(const struct catalog *c, const struct command_spec *spec)
{
	struct catalog_entry *best = NULL;

	for (size_t i = 1; i < c->n; i++)
		if (c->entries[i].command->spec == spec && (!best || n_words(&c->entries[i]) < n_words(best)))
			best = &c->entries[i];
	return best;
}

static int find_repeated(struct catalog *c, struct err *err)
{
	for (size_t i = 1; i < c->n; i++) {
		struct catalog_entry *e = &c->entries[i];
		struct catalog_entry *first = e->command->spec ? main_row(c, e->command->spec) : e;

		e->is_repeated = first != e;
		for (size_t k = 0; e->is_repeated && k < e->paths.n; k++)
			if (add_path(&first->others, e->paths.items[k], err))
				return err->code;
	}
	return OK;
}

int catalog_make(struct catalog *ret_catalog, struct err *err)
{
	struct catalog c = { 0 };

	if (add(&c, NULL, "", err) || walk(&c, root_commands, "", err) || find_repeated(&c, err)) {
		catalog_free(&c);
		return err->code;
	}
	*ret_catalog = c;
	return OK;
}

static void free_paths(struct strings *list)
{
	for (size_t i = 0; i < list->n; i++)
		free((char *)list->items[i]);
	free(list->items);
}

void catalog_free(struct catalog *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free_paths(&c->entries[i].paths);
		free_paths(&c->entries[i].others);
	}
	free(c->entries);
	*c = (struct catalog){ 0 };
}

const struct command *catalog_subcommands(const struct catalog_entry *e)
{
	return e->command ? e->command->subcommands : root_commands;
}

const struct flag *catalog_flags(const struct catalog_entry *e, size_t *ret_n)
{
	const struct command_spec *spec = e->command ? e->command->spec : NULL;

	if (!e->command) {
		*ret_n = N_GLOBAL_FLAGS;
		return global_flags;
	}
	*ret_n = spec ? spec->n_flags : 0;
	return spec ? spec->flags : NULL;
}
