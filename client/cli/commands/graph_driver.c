#include "client/cli/commands/graph_driver.h"

enum { LOWER_DIR_MAX = 8 * 1024 * 1024 };

static const struct value_field fields[] = { { .name = "Data" }, { .name = "Name" } };

static const struct value_type type_driver = {
	.name = "storage.DriverData", .kind = VALUE_STRUCT, .fields = fields, .n_fields = ARRAY_LEN(fields)
};

bool graph_driver_has_files(const Imaged__V1__InspectImageResponse *r)
{
	for (size_t i = 0; i < r->n_layers; i++)
		if (!*r->layers[i]->image_file)
			return false;
	return r->n_layers > 0;
}

/* Those below the top one, the topmost first, as overlayfs takes them. */
static struct value lower_files(struct arena *a, const Imaged__V1__InspectImageResponse *r, const char *root)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(LOWER_DIR_MAX);

	for (size_t i = r->n_layers - 1; i-- > 0;)
		buf_printf(&text, "%s%s/%s", text.len ? ":" : "", root, r->layers[i]->image_file);
	return buf_ok(&text) ? value_copy(a, text_of(buf_text(&text))) : value_none();
}

static struct value data(struct arena *a, const Imaged__V1__InspectImageResponse *r, const char *root)
{
	struct value_pair *pairs = arena_array(a, 2, sizeof *pairs);
	size_t n = 0;

	if (!pairs)
		return value_none();
	if (r->n_layers > 1)
		pairs[n++] = (struct value_pair){ text_of("LowerDir"), lower_files(a, r, root) };
	pairs[n++] = (struct value_pair){ text_of("UpperDir"),
					  value_format(a, "%s/%s", root, r->layers[r->n_layers - 1]->image_file) };
	return value_map(&type_string_map, pairs, n);
}

struct value graph_driver_value(struct arena *a, const Imaged__V1__InspectImageResponse *r, const char *root)
{
	struct value *f = arena_array(a, ARRAY_LEN(fields), sizeof *f);

	if (!f)
		return value_none();
	f[0] = graph_driver_has_files(r) ? data(a, r, root) : value_nil_list(&type_string_map);
	f[1] = value_string("erofs");
	return value_struct(&type_driver, f);
}
