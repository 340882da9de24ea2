/*
 * Input: an image configuration, or a time. What was read stays within the limits,
 * and times come back the same from their text.
 */
#include "store/types/image_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_time(const struct timestamp *t)
{
	struct timestamp again;
	char text[40];

	require(timestamp_parse(timestamp_text(t, text), &again, NULL) == OK);
	require(!t->present || (again.seconds == t->seconds && again.nanos == t->nanos));
}

static void check_list(const struct string_list *l)
{
	require(l->present || !l->n);
	for (size_t i = 0; i < l->n; i++)
		require(l->items[i] != NULL);
}

static void check_container(const struct container_config *c)
{
	check_list(&c->env);
	check_list(&c->cmd);
	check_list(&c->entrypoint);
	check_list(&c->exposed_ports);
	check_list(&c->volumes);
	check_list(&c->healthcheck.test);
	require(c->user && c->stop_signal && c->working_dir);
	for (size_t i = 1; i < c->labels.n; i++)
		require(strcmp(c->labels.pairs[i - 1].key, c->labels.pairs[i].key) < 0);
}

static void check_config(struct bytes json)
{
	CLEANUP(image_config_free) struct image_config c = { 0 };
	struct err err;

	if (image_config_parse(json, &c, &err) < 0)
		return;
	require(c.n_diff_ids <= MANIFEST_LAYERS_MAX);
	check_time(&c.created);
	for (size_t i = 0; i < c.n_history; i++)
		check_time(&c.history[i].created);
	check_container(&c.config);
	check_container(&c.container_config);
	if (image_config_check_layers(&c, c.n_diff_ids, &err) == OK && c.n_diff_ids) {
		struct digest chain = chain_id(c.diff_ids, c.n_diff_ids);

		require(digest_is_set(&chain));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = { data, size };
	CLEANUP(freep) char *text = bytes_to_string(b);
	struct timestamp t;

	if (text && timestamp_parse(text, &t, NULL) == OK)
		check_time(&t);
	check_config(b);
	return 0;
}
