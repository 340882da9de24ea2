#include "store/types/container_config.h"

static void list_clear(struct string_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->items[i]);
	free(l->items);
	*l = (struct string_list){ 0 };
}

static void map_clear(struct string_map *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->pairs[i].key);
		free(m->pairs[i].value);
	}
	free(m->pairs);
	*m = (struct string_map){ 0 };
}

/* Room for `count` strings, all NULL, so that the list can be cleared at any time. */
static int list_make(struct string_list *l, size_t count, struct err *err)
{
	l->items = calloc(count ? count : 1, sizeof *l->items);
	if (!l->items)
		return fail_nomem(err);
	l->present = true;
	l->n = count;
	return OK;
}

static int read_list(const struct jnode *parent, const char *name, struct string_list *l, struct err *err)
{
	struct jnode n = jnode_member(parent, name);
	size_t count;
	int r = jnode_array(&n, IMAGE_CONFIG_LIST_MAX, &count, err);

	if (r < 0 || !jnode_present(&n))
		return r;
	r = list_make(l, count, err);
	for (size_t i = 0; r == OK && i < count; i++) {
		struct jnode item = jnode_item(&n, i);

		r = jnode_require(&item, err);
		if (r == OK)
			r = jnode_string(&item, JSON_TEXT_MAX, &l->items[i], err);
	}
	return r;
}

/* Old images have a plain string for a command of one word. */
static int read_command(const struct jnode *parent, const char *name, struct string_list *l, struct err *err)
{
	struct jnode n = jnode_member(parent, name);
	int r;

	if (!json_is_string(n.value))
		return read_list(parent, name, l, err);
	r = list_make(l, 1, err);
	return r < 0 ? r : jnode_string(&n, JSON_TEXT_MAX, &l->items[0], err);
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A set, written as an object whose values are empty objects: its keys, sorted. */
static int read_set(const struct jnode *parent, const char *name, struct string_list *l, struct err *err)
{
	struct jnode n = jnode_member(parent, name);
	size_t count, i = 0;
	const char *key;
	json_t *value;
	int r = jnode_map(&n, IMAGE_CONFIG_LIST_MAX, &count, err);

	if (r < 0 || !jnode_present(&n))
		return r;
	r = list_make(l, count, err);
	if (r < 0)
		return r;
	json_object_foreach(n.value, key, value)
	{
		if (!json_is_object(value) && !json_is_null(value))
			return jnode_fail(&n, E_BAD_CONTENT, err, "a value is not an object");
		l->items[i] = strdup(key);
		if (!l->items[i++])
			return fail_nomem(err);
	}
	qsort(l->items, l->n, sizeof *l->items, compare_text);
	return OK;
}

static int compare_pair(const void *a, const void *b)
{
	return strcmp(((const struct string_pair *)a)->key, ((const struct string_pair *)b)->key);
}

static int fill_map(const struct jnode *n, struct string_map *m, struct err *err)
{
	const char *key;
	json_t *value;
	size_t i = 0;

	json_object_foreach(n->value, key, value)
	{
		struct string_pair *pair = &m->pairs[i++];
		struct jnode text = { .parent = n->parent, .name = n->name, .value = value };
		int r;

		if (json_is_null(value))
			text.value = NULL;
		pair->key = strdup(key);
		if (!pair->key)
			return fail_nomem(err);
		r = jnode_string(&text, JSON_TEXT_MAX, &pair->value, err);
		if (r < 0)
			return r;
	}
	return OK;
}

static int read_map(const struct jnode *parent, const char *name, struct string_map *m, struct err *err)
{
	struct jnode n = jnode_member(parent, name);
	size_t count;
	int r = jnode_map(&n, IMAGE_CONFIG_LIST_MAX, &count, err);

	if (r < 0 || !jnode_present(&n))
		return r;
	m->pairs = calloc(count ? count : 1, sizeof *m->pairs);
	if (!m->pairs)
		return fail_nomem(err);
	m->present = true;
	m->n = count;
	r = fill_map(&n, m, err);
	if (r == OK)
		qsort(m->pairs, m->n, sizeof *m->pairs, compare_pair);
	return r;
}

static int read_optional_integer(const struct jnode *parent, const char *name, bool *ret_present, int64_t *ret_value,
				 struct err *err)
{
	struct jnode n = jnode_member(parent, name);

	*ret_present = jnode_present(&n);
	return *ret_present ? jnode_integer(&n, INT64_MIN, INT64_MAX, ret_value, err) : OK;
}

static int read_healthcheck(const struct jnode *parent, struct healthcheck *h, struct err *err)
{
	struct jnode n = jnode_member(parent, "Healthcheck");
	const struct {
		const char *name;
		int64_t *value;
	} numbers[] = {
		{ "Interval", &h->interval },	     { "Timeout", &h->timeout },
		{ "StartPeriod", &h->start_period }, { "StartInterval", &h->start_interval },
		{ "Retries", &h->retries },
	};
	int r = jnode_object(&n, err);
	bool present;

	if (r < 0 || !jnode_present(&n))
		return r;
	h->present = true;
	r = read_list(&n, "Test", &h->test, err);
	for (size_t i = 0; r == OK && i < ARRAY_LEN(numbers); i++)
		r = read_optional_integer(&n, numbers[i].name, &present, numbers[i].value, err);
	return r;
}

static int read_strings(const struct jnode *n, struct container_config *c, struct err *err)
{
	const struct {
		const char *name;
		char **value;
	} strings[] = {
		{ "Hostname", &c->hostname },
		{ "Domainname", &c->domainname },
		{ "User", &c->user },
		{ "Image", &c->image },
		{ "WorkingDir", &c->working_dir },
		{ "MacAddress", &c->mac_address },
		{ "StopSignal", &c->stop_signal },
	};
	int r = OK;

	for (size_t i = 0; r == OK && i < ARRAY_LEN(strings); i++)
		r = jnode_member_string(n, strings[i].name, strings[i].value, err);
	return r;
}

static int read_flags(const struct jnode *n, struct container_config *c, struct err *err)
{
	const struct {
		const char *name;
		bool *value;
	} flags[] = {
		{ "AttachStdin", &c->attach_stdin },   { "AttachStdout", &c->attach_stdout },
		{ "AttachStderr", &c->attach_stderr }, { "Tty", &c->tty },
		{ "OpenStdin", &c->open_stdin },       { "StdinOnce", &c->stdin_once },
		{ "ArgsEscaped", &c->args_escaped },   { "NetworkDisabled", &c->network_disabled },
	};
	int r = OK;

	for (size_t i = 0; r == OK && i < ARRAY_LEN(flags); i++) {
		struct jnode flag = jnode_member(n, flags[i].name);

		r = jnode_bool(&flag, flags[i].value, err);
	}
	return r;
}

/* NAME=value, as the OCI specification demands. */
static int check_env(const struct jnode *n, const struct string_list *env, struct err *err)
{
	struct jnode list = jnode_member(n, "Env");

	for (size_t i = 0; i < env->n; i++) {
		struct jnode item = jnode_item(&list, i);
		const char *equals = strchr(env->items[i], '=');

		if (!equals || equals == env->items[i])
			return jnode_fail(&item, E_BAD_CONTENT, err, "not of the form NAME=value");
	}
	return OK;
}

static int read_lists(const struct jnode *n, struct container_config *c, struct err *err)
{
	int r = read_list(n, "Env", &c->env, err);

	if (r == OK)
		r = check_env(n, &c->env, err);
	if (r == OK)
		r = read_command(n, "Cmd", &c->cmd, err);
	if (r == OK)
		r = read_command(n, "Entrypoint", &c->entrypoint, err);
	if (r == OK)
		r = read_list(n, "OnBuild", &c->on_build, err);
	if (r == OK)
		r = read_list(n, "Shell", &c->shell, err);
	if (r == OK)
		r = read_set(n, "ExposedPorts", &c->exposed_ports, err);
	if (r == OK)
		r = read_set(n, "Volumes", &c->volumes, err);
	return r;
}

int container_config_read(const struct jnode *n, struct container_config *c, struct err *err)
{
	int r = jnode_object(n, err);

	c->present = jnode_present(n);
	if (r == OK)
		r = read_strings(n, c, err);
	if (r == OK)
		r = read_flags(n, c, err);
	if (r == OK)
		r = read_lists(n, c, err);
	if (r == OK)
		r = read_map(n, "Labels", &c->labels, err);
	if (r == OK)
		r = read_healthcheck(n, &c->healthcheck, err);
	if (r == OK)
		r = read_optional_integer(n, "StopTimeout", &c->has_stop_timeout, &c->stop_timeout, err);
	return r;
}

void container_config_clear(struct container_config *c)
{
	struct string_list *lists[] = { &c->exposed_ports, &c->env,	 &c->cmd,   &c->volumes,
					&c->entrypoint,	   &c->on_build, &c->shell, &c->healthcheck.test };
	char *strings[] = { c->hostname,    c->domainname,  c->user,	   c->image,
			    c->working_dir, c->mac_address, c->stop_signal };

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		list_clear(lists[i]);
	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		free(strings[i]);
	map_clear(&c->labels);
	*c = (struct container_config){ 0 };
}
