#include "service/build/image_copy.h"

enum { ENTRY_COST = 64 }; /* of a place in a list, beside its bytes */

struct copying {
	size_t bytes;
	bool failed;
};

static char *copy_text(struct copying *c, const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	c->bytes += ENTRY_COST + (copy ? strlen(copy) : 0);
	c->failed = c->failed || (text && !copy);
	return copy;
}

static void *make_array(struct copying *c, size_t n, size_t size)
{
	void *array = n ? calloc(n, size) : NULL;

	c->failed = c->failed || (n && !array);
	return array;
}

static struct string_list copy_list(struct copying *c, const struct string_list *from)
{
	struct string_list to = { .present = from->present, .items = make_array(c, from->n, sizeof *to.items) };

	for (; to.items && to.n < from->n; to.n++)
		to.items[to.n] = copy_text(c, from->items[to.n]);
	return to;
}

static struct string_map copy_map(struct copying *c, const struct string_map *from)
{
	struct string_map to = { .present = from->present, .pairs = make_array(c, from->n, sizeof *to.pairs) };

	for (; to.pairs && to.n < from->n; to.n++)
		to.pairs[to.n] = (struct string_pair){ copy_text(c, from->pairs[to.n].key),
						       copy_text(c, from->pairs[to.n].value) };
	return to;
}

/* Switches and numbers are copied with the struct, what is on the heap after it. */
static struct container_config copy_container(struct copying *c, const struct container_config *from)
{
	struct container_config to = *from;

	to.hostname = copy_text(c, from->hostname);
	to.domainname = copy_text(c, from->domainname);
	to.user = copy_text(c, from->user);
	to.image = copy_text(c, from->image);
	to.working_dir = copy_text(c, from->working_dir);
	to.mac_address = copy_text(c, from->mac_address);
	to.stop_signal = copy_text(c, from->stop_signal);
	to.exposed_ports = copy_list(c, &from->exposed_ports);
	to.env = copy_list(c, &from->env);
	to.cmd = copy_list(c, &from->cmd);
	to.volumes = copy_list(c, &from->volumes);
	to.entrypoint = copy_list(c, &from->entrypoint);
	to.on_build = copy_list(c, &from->on_build);
	to.shell = copy_list(c, &from->shell);
	to.labels = copy_map(c, &from->labels);
	to.healthcheck.test = copy_list(c, &from->healthcheck.test);
	return to;
}

static void copy_history(struct copying *c, const struct image_config *from, struct image_config *to)
{
	to->n_history = 0;
	to->history = make_array(c, from->n_history, sizeof *to->history);
	for (; to->history && to->n_history < from->n_history; to->n_history++) {
		const struct history *h = &from->history[to->n_history];

		to->history[to->n_history] = (struct history){ .created = h->created,
							       .created_by = copy_text(c, h->created_by),
							       .author = copy_text(c, h->author),
							       .comment = copy_text(c, h->comment),
							       .empty_layer = h->empty_layer };
	}
}

int image_copy(const struct image_config *from, struct image_config *to, size_t *ret_bytes, struct err *err)
{
	struct copying c = { .bytes = sizeof *from };

	*to = *from;
	to->author = copy_text(&c, from->author);
	to->comment = copy_text(&c, from->comment);
	to->docker_version = copy_text(&c, from->docker_version);
	to->container = copy_text(&c, from->container);
	to->config = copy_container(&c, &from->config);
	to->container_config = copy_container(&c, &from->container_config);
	to->diff_ids = make_array(&c, from->n_diff_ids, sizeof *to->diff_ids);
	to->n_diff_ids = to->diff_ids ? from->n_diff_ids : 0;
	if (to->n_diff_ids)
		memcpy(to->diff_ids, from->diff_ids, from->n_diff_ids * sizeof *to->diff_ids);
	copy_history(&c, from, to);
	*ret_bytes = c.bytes;
	return c.failed ? fail_nomem(err) : OK;
}
