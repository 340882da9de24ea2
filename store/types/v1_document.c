#include "store/types/v1_document.h"

/* A value that could not be made fails the object it was meant for, and so the document. */
struct writer {
	json_t *object;
	bool failed;
};

static void put(struct writer *w, const char *key, json_t *value)
{
	w->failed = w->failed || !value || json_object_set_new_nocheck(w->object, key, value) < 0;
}

static json_t *finish(struct writer *w)
{
	if (w->failed)
		json_decref(TAKE(w->object));
	return w->object;
}

static struct writer begin(void)
{
	json_t *object = json_object();

	return (struct writer){ object, !object };
}

static const char *text_of(const char *text)
{
	return text ? text : "";
}

/* Go leaves out what is marked omitempty and is empty. */
static void put_some_text(struct writer *w, const char *key, const char *text)
{
	if (text && *text)
		put(w, key, json_string(text));
}

static void put_some_number(struct writer *w, const char *key, int64_t n)
{
	if (n)
		put(w, key, json_integer(n));
}

/* ---- lists and maps --------------------------------------------------------- */

static json_t *list(const struct string_list *l)
{
	json_t *array = l->present ? json_array() : json_null();

	for (size_t i = 0; array && i < l->n; i++)
		if (json_array_append_new(array, json_string(l->items[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

static json_t *set(const struct string_list *l)
{
	struct writer w = begin();

	for (size_t i = 0; i < l->n; i++)
		put(&w, l->items[i], json_object());
	return finish(&w);
}

static json_t *map(const struct string_map *m)
{
	struct writer w = begin();

	for (size_t i = 0; i < m->n; i++)
		put(&w, m->pairs[i].key, json_string(text_of(m->pairs[i].value)));
	return finish(&w);
}

static void put_some_list(struct writer *w, const char *key, const struct string_list *l)
{
	if (l->n)
		put(w, key, list(l));
}

/* ---- the container's configuration ------------------------------------------- */

static json_t *health(const struct healthcheck *h)
{
	struct writer w = begin();

	put_some_list(&w, "Test", &h->test);
	put_some_number(&w, "Interval", h->interval);
	put_some_number(&w, "Timeout", h->timeout);
	put_some_number(&w, "StartPeriod", h->start_period);
	put_some_number(&w, "Retries", h->retries);
	return finish(&w);
}

static void put_terminal(struct writer *w, const struct container_config *c)
{
	put(w, "Hostname", json_string(text_of(c->hostname)));
	put(w, "Domainname", json_string(text_of(c->domainname)));
	put(w, "User", json_string(text_of(c->user)));
	put(w, "AttachStdin", json_boolean(c->attach_stdin));
	put(w, "AttachStdout", json_boolean(c->attach_stdout));
	put(w, "AttachStderr", json_boolean(c->attach_stderr));
	if (c->exposed_ports.n)
		put(w, "ExposedPorts", set(&c->exposed_ports));
	put(w, "Tty", json_boolean(c->tty));
	put(w, "OpenStdin", json_boolean(c->open_stdin));
	put(w, "StdinOnce", json_boolean(c->stdin_once));
}

static void put_process(struct writer *w, const struct container_config *c)
{
	put(w, "Env", list(&c->env));
	put(w, "Cmd", list(&c->cmd));
	if (c->healthcheck.present)
		put(w, "Healthcheck", health(&c->healthcheck));
	if (c->args_escaped)
		put(w, "ArgsEscaped", json_true());
	put(w, "Image", json_string(text_of(c->image)));
	put(w, "Volumes", c->volumes.present ? set(&c->volumes) : json_null());
	put(w, "WorkingDir", json_string(text_of(c->working_dir)));
	put(w, "Entrypoint", list(&c->entrypoint));
}

static json_t *container(const struct container_config *c)
{
	struct writer w = begin();

	put_terminal(&w, c);
	put_process(&w, c);
	if (c->network_disabled)
		put(&w, "NetworkDisabled", json_true());
	put_some_text(&w, "MacAddress", c->mac_address);
	put(&w, "OnBuild", list(&c->on_build));
	put(&w, "Labels", c->labels.present ? map(&c->labels) : json_null());
	put_some_text(&w, "StopSignal", c->stop_signal);
	if (c->has_stop_timeout)
		put(&w, "StopTimeout", json_integer(c->stop_timeout));
	put_some_list(&w, "Shell", &c->shell);
	return finish(&w);
}

/* ---- the image ---------------------------------------------------------------- */

static struct writer begin_document(const struct v1_head *head)
{
	struct writer w = begin();

	put_some_text(&w, "id", head->id);
	put_some_text(&w, "parent", head->parent);
	return w;
}

static json_t *time_of(const struct timestamp *t, int32_t zone)
{
	char text[40];

	return json_string(timestamp_text_zoned(t, zone, text));
}

json_t *v1_document_of_nothing(const struct v1_head *head)
{
	static const struct container_config nothing = { .present = false };
	struct writer w = begin_document(head);

	put(&w, "created", time_of(&(struct timestamp){ .present = true }, 0));
	put(&w, "container_config", container(&nothing));
	put_some_text(&w, "os", head->os);
	return finish(&w);
}

json_t *v1_document_of(const struct v1_head *head, const struct image_config *c)
{
	struct writer w = begin_document(head);

	put_some_text(&w, "comment", c->comment);
	put(&w, "created", time_of(&c->created, c->created_zone));
	put_some_text(&w, "container", c->container);
	put(&w, "container_config", container(&c->container_config));
	put_some_text(&w, "docker_version", c->docker_version);
	put_some_text(&w, "author", c->author);
	if (c->config.present)
		put(&w, "config", container(&c->config));
	put_some_text(&w, "architecture", c->platform.architecture);
	put_some_text(&w, "variant", c->platform.variant);
	put_some_text(&w, "os", head->os);
	return finish(&w);
}

/* ---- history ------------------------------------------------------------------- */

static json_t *command_text(const struct string_list *l)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(CONFIG_BYTES_MAX);

	for (size_t i = 0; i < l->n; i++)
		buf_printf(&text, "%s%s", i ? " " : "", l->items[i]);
	return buf_ok(&text) ? json_string(buf_text(&text)) : NULL;
}

json_t *v1_history_entry(const struct image_config *c)
{
	struct writer w = begin();

	put(&w, "created", time_of(&c->created, c->created_zone));
	put_some_text(&w, "author", c->author);
	if (c->container_config.cmd.n)
		put(&w, "created_by", command_text(&c->container_config.cmd));
	put_some_text(&w, "comment", c->comment);
	return finish(&w);
}
