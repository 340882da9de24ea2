#include <stdio.h>

#include <jansson.h>

#include "proto/runtime/codec.h"
#include "store/types/image_config.h"

/* Every value is made by one of the functions below, which give NULL for a failure, and
 * put() then fails: so a chain of puts is checked once, at its end. */
struct writer {
	bool failed;   /* without memory */
	bool bad_text; /* not UTF-8 */
};

static json_t *text(struct writer *w, const char *value)
{
	json_t *j = json_string(value);

	w->bad_text = w->bad_text || (!j && !utf8_valid(bytes_of(value)));
	w->failed = w->failed || !j;
	return j;
}

/* Takes the value over. */
static void put(struct writer *w, json_t *object, const char *key, json_t *value)
{
	if (!value || json_object_set_new_nocheck(object, key, value) < 0)
		w->failed = true;
}

static void append(struct writer *w, json_t *array, json_t *value)
{
	if (!value || json_array_append_new(array, value) < 0)
		w->failed = true;
}

static void put_text(struct writer *w, json_t *object, const char *key, const char *value)
{
	if (value && *value)
		put(w, object, key, text(w, value));
}

static void put_flag(struct writer *w, json_t *object, const char *key, bool value)
{
	if (value)
		put(w, object, key, json_true());
}

static void put_number(struct writer *w, json_t *object, const char *key, int64_t value)
{
	if (value)
		put(w, object, key, json_integer(value));
}

static void put_list(struct writer *w, json_t *object, const char *key, const struct string_list *l)
{
	json_t *array = l->present ? json_array() : NULL;

	if (!l->present)
		return;
	for (size_t i = 0; array && i < l->n; i++)
		append(w, array, text(w, l->items[i]));
	put(w, object, key, array);
}

/* A key of outside text: checked like a value. */
static void put_checked(struct writer *w, json_t *object, const char *key, json_t *value)
{
	if (!utf8_valid(bytes_of(key)))
		w->bad_text = true;
	put(w, object, key, value);
}

static void put_set(struct writer *w, json_t *object, const char *key, const struct string_list *l)
{
	json_t *set = l->present ? json_object() : NULL;

	if (!l->present)
		return;
	for (size_t i = 0; set && i < l->n; i++)
		put_checked(w, set, l->items[i], json_object());
	put(w, object, key, set);
}

static void put_map(struct writer *w, json_t *object, const char *key, const struct string_map *m)
{
	json_t *map = m->present ? json_object() : NULL;

	if (!m->present)
		return;
	for (size_t i = 0; map && i < m->n; i++)
		put_checked(w, map, m->pairs[i].key, text(w, m->pairs[i].value ? m->pairs[i].value : ""));
	put(w, object, key, map);
}

static void put_time(struct writer *w, json_t *object, const char *key, const struct timestamp *t)
{
	char out[40];

	if (t->present)
		put(w, object, key, text(w, timestamp_text(t, out)));
}

/* ---- the container's configuration ------------------------------------------ */

static void put_health(struct writer *w, json_t *object, const struct healthcheck *h)
{
	json_t *health = h->present ? json_object() : NULL;

	if (!h->present)
		return;
	put_list(w, health, "Test", &h->test);
	put_number(w, health, "Interval", h->interval);
	put_number(w, health, "Timeout", h->timeout);
	put_number(w, health, "StartPeriod", h->start_period);
	put_number(w, health, "StartInterval", h->start_interval);
	put_number(w, health, "Retries", h->retries);
	put(w, object, "Healthcheck", health);
}

static void put_texts(struct writer *w, json_t *j, const struct container_config *c)
{
	put_text(w, j, "Hostname", c->hostname);
	put_text(w, j, "Domainname", c->domainname);
	put_text(w, j, "User", c->user);
	put_text(w, j, "Image", c->image);
	put_text(w, j, "WorkingDir", c->working_dir);
	put_text(w, j, "MacAddress", c->mac_address);
	put_text(w, j, "StopSignal", c->stop_signal);
}

static void put_flags(struct writer *w, json_t *j, const struct container_config *c)
{
	put_flag(w, j, "AttachStdin", c->attach_stdin);
	put_flag(w, j, "AttachStdout", c->attach_stdout);
	put_flag(w, j, "AttachStderr", c->attach_stderr);
	put_flag(w, j, "Tty", c->tty);
	put_flag(w, j, "OpenStdin", c->open_stdin);
	put_flag(w, j, "StdinOnce", c->stdin_once);
	put_flag(w, j, "ArgsEscaped", c->args_escaped);
	put_flag(w, j, "NetworkDisabled", c->network_disabled);
}

static void put_container(struct writer *w, json_t *object, const char *key, const struct container_config *c)
{
	json_t *j = c->present ? json_object() : NULL;

	if (!c->present)
		return;
	put_texts(w, j, c);
	put_flags(w, j, c);
	put_list(w, j, "Env", &c->env);
	put_list(w, j, "Cmd", &c->cmd);
	put_list(w, j, "Entrypoint", &c->entrypoint);
	put_list(w, j, "OnBuild", &c->on_build);
	put_list(w, j, "Shell", &c->shell);
	put_set(w, j, "ExposedPorts", &c->exposed_ports);
	put_set(w, j, "Volumes", &c->volumes);
	put_map(w, j, "Labels", &c->labels);
	put_health(w, j, &c->healthcheck);
	if (c->has_stop_timeout)
		put(w, j, "StopTimeout", json_integer(c->stop_timeout));
	put(w, object, key, j);
}

/* ---- the image -------------------------------------------------------------- */

static json_t *history_entry(struct writer *w, const struct history *h)
{
	json_t *j = json_object();

	put_time(w, j, "created", &h->created);
	put_text(w, j, "created_by", h->created_by);
	put_text(w, j, "author", h->author);
	put_text(w, j, "comment", h->comment);
	put_flag(w, j, "empty_layer", h->empty_layer);
	return j;
}

static void put_history(struct writer *w, json_t *object, const struct image_config *c)
{
	json_t *array = c->n_history ? json_array() : NULL;

	if (!c->n_history)
		return;
	for (size_t i = 0; array && i < c->n_history; i++)
		append(w, array, history_entry(w, &c->history[i]));
	put(w, object, "history", array);
}

static void put_rootfs(struct writer *w, json_t *object, const struct image_config *c)
{
	json_t *rootfs = json_object(), *layers = json_array();
	char out[DIGEST_TEXT_MAX];

	for (size_t i = 0; layers && i < c->n_diff_ids; i++)
		append(w, layers, text(w, digest_text(&c->diff_ids[i], out)));
	put_text(w, rootfs, "type", "layers");
	put(w, rootfs, "diff_ids", layers);
	put(w, object, "rootfs", rootfs);
}

static void put_all(struct writer *w, json_t *j, const struct image_config *c)
{
	put_text(w, j, "architecture", c->platform.architecture);
	put_text(w, j, "variant", c->platform.variant);
	put_text(w, j, "os", c->platform.os);
	put_text(w, j, "os.version", c->platform.os_version);
	put_time(w, j, "created", &c->created);
	put_text(w, j, "author", c->author);
	put_text(w, j, "comment", c->comment);
	put_text(w, j, "docker_version", c->docker_version);
	put_text(w, j, "container", c->container);
	put_container(w, j, "config", &c->config);
	put_container(w, j, "container_config", &c->container_config);
	put_history(w, j, c);
	put_rootfs(w, j, c);
}

static int write_out(const char *data, size_t len, void *out)
{
	return buf_append(out, data, len) ? 0 : -1;
}

int image_config_write(const struct image_config *c, struct buf *out, struct err *err)
{
	struct writer w = { .failed = false };
	json_t *root = json_object();
	bool written;

	put_all(&w, root, c);
	written = root && !w.failed && !w.bad_text &&
		  !json_dump_callback(root, write_out, out, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(root);
	if (written)
		return OK;
	if (w.bad_text)
		return fail(err, E_INVALID, "the image configuration would hold text that is not UTF-8");
	return w.failed ? fail_nomem(err)
			: fail(err, E_LIMIT, "the image configuration is larger than %zu bytes", out->max);
}
