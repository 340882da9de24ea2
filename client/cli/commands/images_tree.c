#include "client/cli/commands/images_tree.h"

#include "client/cli/convert.h"
#include "client/cli/format/units.h"
#include "client/cli/format/width.h"
#include "client/cli/message_json.h"
#include "imaged/v1/image_service.client.h"
#include "proto/runtime/hash.h"

enum {
	PAGE = 250,
	LINE_BYTES_MAX = 64 * 1024,
	JSON_BYTES_MAX = 64 * 1024 * 1024,
	GAP = 3,
	ID_CELLS = 12,
	SIZE_CELLS = 8,
	SHARED_CELLS = 12,
	NAME_CELLS_MIN = 18, /* the branch and the digest of a layer */
	COLUMNS_MAX = 4,
};

typedef Imaged__V1__ImageSummary summary;

/* ---- numbers by text ----------------------------------------------------------- */

struct number {
	int64_t n;
	UT_hash_handle hh;
	char key[];
};

static struct number *find_number(struct number *table, const char *key)
{
	struct number *found;

	HASH_FIND_STR(table, key, found);
	return found;
}

static int64_t number_of(struct number *table, const char *key)
{
	const struct number *found = find_number(table, key);

	return found ? found->n : 0;
}

static int add_number(struct number **table, const char *key, int64_t n, struct err *err)
{
	struct number *found = find_number(*table, key);
	size_t len = strlen(key);

	if (found) {
		found->n += n;
		return OK;
	}
	found = calloc(1, sizeof *found + len + 1);
	if (!found)
		return fail_nomem(err);
	memcpy(found->key, key, len);
	found->n = n;
	HASH_ADD_STR(*table, key, found);
	if (HASH_ADDED(found))
		return OK;
	free(found);
	return fail_nomem(err);
}

static void numbers_free(struct number **table)
{
	struct number *n, *next;

	HASH_ITER(hh, *table, n, next)
	{
		HASH_DEL(*table, n);
		free(n);
	}
}

/* ---- the walks ------------------------------------------------------------------- */

struct tree {
	struct rpc_channel *channel;
	struct number *layers; /* diff ID: how many images have it */
	struct number *images; /* ID: size */
	bool on_terminal, east_asian, bold;
	int columns; /* of the terminal; 0: no bound */
	int widths[COLUMNS_MAX];
	int n_columns;
};

static void tree_free(struct tree *t)
{
	numbers_free(&t->layers);
	numbers_free(&t->images);
}

typedef int visit_image(struct tree *t, const summary *image, struct err *err);

static int visit_page(struct tree *t, const Imaged__V1__ListImagesResponse *page, visit_image *visit, struct err *err)
{
	int r = OK;

	for (size_t i = 0; !r && i < page->n_images && !cli_output_failed(); i++)
		r = visit(t, page->images[i], err);
	return r;
}

static int walk(struct tree *t, Imaged__V1__ImageFilter *filter, bool all, visit_image *visit, struct err *err)
{
	Imaged__V1__ListImagesRequest request = IMAGED__V1__LIST_IMAGES_REQUEST__INIT;
	CLEANUP(freep) char *token = NULL;
	int r = OK;

	request.filter = filter;
	request.page_size = PAGE;
	request.with_tree = true;
	request.all = all;
	while (!r) {
		CLEANUP(imaged__v1__image_service__list_images_freep) Imaged__V1__ListImagesResponse *page = NULL;

		r = imaged__v1__image_service__call_list_images(t->channel, cli_call_options(), &request, &page, err);
		if (!r)
			r = visit_page(t, page, visit, err);
		if (r || !*page->next_page_token)
			break;
		free(token);
		token = strdup(page->next_page_token);
		if (!token)
			return fail_nomem(err);
		request.page_token = token;
	}
	return r;
}

/* ---- first: what is shared --------------------------------------------------------- */

static bool is_repeated(const summary *image, size_t layer)
{
	for (size_t i = 0; i < layer; i++)
		if (!strcmp(image->layers[i]->diff_id, image->layers[layer]->diff_id))
			return true;
	return false;
}

static int count_image(struct tree *t, const summary *image, struct err *err)
{
	int r = add_number(&t->images, image->id, image->size, err);

	for (size_t i = 0; !r && i < image->n_layers; i++)
		if (!is_repeated(image, i))
			r = add_number(&t->layers, image->layers[i]->diff_id, 1, err);
	return r;
}

/* ---- then: how wide ----------------------------------------------------------------- */

static int cells(const struct tree *t, const char *text)
{
	return (int)width_of(text, strlen(text), t->east_asian);
}

static const char *pin_note(const summary *image)
{
	return *image->pinned_by ? " (pinned)" : "";
}

/* What only pinned images have in that column besides: others' platforms are short. */
static void measure_pin(struct tree *t, const summary *image)
{
	char platform_text[256], text[300];
	int width;

	snprintf(text, sizeof text, "└─ %s%s", platform_of(image->platform, platform_text), pin_note(image));
	width = cells(t, text);
	if (*image->pinned_by && width > t->widths[0])
		t->widths[0] = width;
}

static int measure_image(struct tree *t, const summary *image, UNUSED struct err *err)
{
	char text[REFERENCE_TEXT_MAX];

	measure_pin(t, image);
	for (size_t i = 0; i < image->n_roots; i++)
		for (size_t k = 0; k < image->roots[i]->n_names; k++) {
			int width = cells(t, familiar_text(image->roots[i]->names[k], text));

			if (width > t->widths[0])
				t->widths[0] = width;
		}
	return OK;
}

/* Columns go from the right until the names have room; then the names are cut. */
static void fit(struct tree *t)
{
	static const int others[] = { ID_CELLS, SIZE_CELLS, SHARED_CELLS };
	int room = t->columns;

	t->n_columns = COLUMNS_MAX;
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		t->widths[i + 1] = others[i];
		room -= GAP + others[i];
	}
	if (!t->columns)
		return;
	while (t->n_columns > 1 && room < NAME_CELLS_MIN)
		room += GAP + t->widths[--t->n_columns];
	if (room < 1)
		room = 1;
	if (t->widths[0] > room)
		t->widths[0] = room;
}

/* ---- lines ---------------------------------------------------------------------------- */

static void put_cell(const struct tree *t, struct buf *line, int column, const char *text)
{
	CLEANUP(buf_free) struct buf cut = BUF_INIT(LINE_BYTES_MAX);
	int width;

	if (t->columns && cells(t, text) > t->widths[column] && ellipsis(&cut, text_of(text), t->widths[column]))
		text = buf_text(&cut);
	width = cells(t, text);
	buf_puts(line, text);
	while (column + 1 < t->n_columns && width++ < t->widths[column] + GAP)
		buf_putc(line, ' ');
}

static void write_line(const struct tree *t, const char *const *texts, bool bold)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(LINE_BYTES_MAX);
	size_t len;

	if (bold && t->bold)
		buf_puts(&line, "\033[1m");
	for (int i = 0; i < t->n_columns; i++)
		put_cell(t, &line, i, texts[i]);
	len = line.len;
	while (len && line.data[len - 1] == ' ')
		len--;
	cli_write(buf_text(&line), len);
	cli_write(bold && t->bold ? "\033[0m\n" : "\n", bold && t->bold ? 5 : 1);
}

static void write_header(const struct tree *t)
{
	static const char *const texts[] = { "IMAGE", "ID", "SIZE", "SHARED" };

	write_line(t, texts, false);
}

/* All names; the first has the digest that they stand for. */
static void write_names(const struct tree *t, const Imaged__V1__ImageRoot *root)
{
	struct text digest = short_id(root->descriptor->digest);
	char id[ID_CELLS + 1], name[REFERENCE_TEXT_MAX];

	snprintf(id, sizeof id, "%.*s", (int)digest.len, digest.data);
	for (size_t i = 0; i < root->n_names || !i; i++) {
		const char *shown = root->n_names ? familiar_text(root->names[i], name) : "<none>";
		const char *const texts[] = { shown, i ? "" : id, "", "" };

		write_line(t, texts, true);
	}
}

static void write_layer(const struct tree *t, const Imaged__V1__Layer *layer, bool last_platform, bool last)
{
	struct text id = short_id(layer->diff_id);
	int64_t images = number_of(t->layers, layer->diff_id);
	char name[64], size[SIZE_TEXT_MAX], shared[32] = "";
	const char *const texts[] = { name, "", size_text((double)layer->size, 3, size), shared };

	snprintf(name, sizeof name, "%s%s %.*s", last_platform ? "   " : "│  ", last ? "└─" : "├─", (int)id.len,
		 id.data);
	if (images > 1)
		snprintf(shared, sizeof shared, "%lld images", (long long)images);
	write_line(t, texts, false);
}

static int64_t shared_of(const struct tree *t, const summary *image)
{
	int64_t shared = 0;

	for (size_t i = 0; i < image->n_layers; i++)
		if (number_of(t->layers, image->layers[i]->diff_id) > 1)
			shared += image->layers[i]->size;
	return shared;
}

static void write_platform(const struct tree *t, const Imaged__V1__Platform *platform, const char *note,
			   const char *digest, bool last, const char *size, const char *shared)
{
	struct text id = short_id(digest);
	char name[300], platform_text[256], short_text[ID_CELLS + 1];
	const char *const texts[] = { name, short_text, size, shared };

	snprintf(name, sizeof name, "%s %s%s", last ? "└─" : "├─", platform_of(platform, platform_text), note);
	snprintf(short_text, sizeof short_text, "%.*s", (int)id.len, id.data);
	write_line(t, texts, false);
}

/* The image itself, with its layers. */
static void write_image(const struct tree *t, const summary *image, bool last)
{
	char size[SIZE_TEXT_MAX], shared[SIZE_TEXT_MAX];

	write_platform(t, image->platform, pin_note(image), image->id, last, size_text((double)image->size, 3, size),
		       size_text((double)shared_of(t, image), 3, shared));
	for (size_t i = 0; i < image->n_layers; i++)
		write_layer(t, image->layers[i], last, i + 1 == image->n_layers);
}

/* What else the index lists: here, with a tree of its own, or at the registry only. */
static void write_other(const struct tree *t, const Imaged__V1__RootEntry *entry, bool last)
{
	char size[SIZE_TEXT_MAX];

	if (*entry->image_id)
		write_platform(t, entry->descriptor->platform, "", entry->image_id, last,
			       size_text((double)number_of(t->images, entry->image_id), 3, size), "");
	else
		write_platform(t, entry->descriptor->platform, "", entry->descriptor->digest, last, "not here", "");
}

static void write_root(const struct tree *t, const summary *image, const Imaged__V1__ImageRoot *root)
{
	bool is_there = false;

	write_names(t, root);
	for (size_t i = 0; i < root->n_entries; i++)
		is_there = is_there || !strcmp(root->entries[i]->image_id, image->id);
	for (size_t i = 0; i < root->n_entries; i++) {
		bool last = is_there && i + 1 == root->n_entries;

		if (!strcmp(root->entries[i]->image_id, image->id))
			write_image(t, image, last);
		else
			write_other(t, root->entries[i], last);
	}
	if (!is_there) /* no index, or one that cannot be read */
		write_image(t, image, true);
}

static int show_image(struct tree *t, const summary *image, UNUSED struct err *err)
{
	for (size_t i = 0; i < image->n_roots; i++)
		write_root(t, image, image->roots[i]);
	return OK;
}

static int show_json(UNUSED struct tree *t, const summary *image, struct err *err)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(JSON_BYTES_MAX);

	message_json(&image->base, &line);
	if (!buf_putc(&line, '\n'))
		return fail_nomem(err);
	cli_write(buf_text(&line), line.len);
	return OK;
}

/* ---- all of it ------------------------------------------------------------------------- */

static void look_at_terminal(struct tree *t)
{
	const char *no_color = getenv("NO_COLOR");

	t->on_terminal = isatty(STDOUT_FILENO);
	t->columns = t->on_terminal ? terminal_width(STDOUT_FILENO) : 0;
	t->bold = t->on_terminal && !(no_color && *no_color);
	t->east_asian = width_is_east_asian();
	t->widths[0] = NAME_CELLS_MIN;
}

int images_tree(struct cli *cli, Imaged__V1__ImageFilter *filter, bool all, bool json, struct err *err)
{
	CLEANUP(tree_free) struct tree t = { .channel = NULL };
	int r = cli_channel(cli, &t.channel, err);

	if (r)
		return r;
	if (json)
		return walk(&t, filter, all, show_json, err);
	look_at_terminal(&t);
	r = walk(&t, NULL, true, count_image, err);
	if (!r)
		r = walk(&t, filter, all, measure_image, err);
	if (r)
		return r;
	fit(&t);
	write_header(&t);
	return walk(&t, filter, all, show_image, err);
}
