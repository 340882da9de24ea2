/* Which image of an archive was made from which, as docker's manifest.json tells: believed only
 * where the history of the one is that of the other with one step more. */
#include "service/image/load.h"
#include "store/image/parent.h"

/* ---- check ----------------------------------------------------------------- */

static int read_config(struct load *l, const struct load_image *image, struct image_config *ret_config, struct err *err)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(CONFIG_BYTES_MAX);
	struct load_blob *b = NULL;

	if (load_blob_get(l, &image->config, NULL, &b, err) < 0)
		return err->code;
	if (!b)
		return fail(err, E_ABORTED, "an image of the archive was removed meanwhile");
	if (load_account_document(l, b->size, err) < 0 || load_blob_read(l, b, &body, err) < 0)
		return err->code;
	return image_config_parse(buf_bytes(&body), ret_config, err);
}

static bool same_step(const struct history *a, const struct history *b)
{
	return a->created.present == b->created.present && a->created.seconds == b->created.seconds &&
	       a->created.nanos == b->created.nanos && a->empty_layer == b->empty_layer &&
	       !strcmp(a->created_by, b->created_by) && !strcmp(a->author, b->author) &&
	       !strcmp(a->comment, b->comment);
}

static bool is_one_step_more(const struct image_config *child, const struct image_config *parent)
{
	if (child->n_history != parent->n_history + 1)
		return false;
	for (size_t i = 0; i < parent->n_history; i++)
		if (!same_step(&child->history[i], &parent->history[i]))
			return false;
	return true;
}

/* Without steps nothing speaks for it, and two could be each other's parent. */
static bool have_no_steps(const struct image_config *child, const struct image_config *parent)
{
	return !child->n_history && !parent->n_history;
}

static int check_parent(struct load *l, struct load_image *image, const struct load_image *parent, struct err *err)
{
	CLEANUP(image_config_free) struct image_config child = { .n_history = 0 };
	CLEANUP(image_config_free) struct image_config above = { .n_history = 0 };
	char child_text[DIGEST_TEXT_MAX], parent_text[DIGEST_TEXT_MAX];

	if (read_config(l, image, &child, err) < 0 || read_config(l, parent, &above, err) < 0)
		return err->code;
	if (have_no_steps(&child, &above))
		image->parent = (struct digest){ .algorithm = DIGEST_NONE };
	else if (!is_one_step_more(&child, &above))
		return fail(err, E_BAD_CONTENT, "image %s is not a valid parent for %s",
			    digest_text(&image->parent, parent_text), digest_text(&image->config, child_text));
	return OK;
}

int load_check_parents(struct load *l, struct err *err)
{
	for (size_t i = 0; i < l->n_images; i++) {
		struct load_image *image = &l->images[i], *parent;

		if (!digest_is_set(&image->parent))
			continue;
		parent = load_image_find(l, &image->parent);
		if (!parent) /* the archive is of the child alone */
			image->parent = (struct digest){ .algorithm = DIGEST_NONE };
		else if (cancel_check(l->cancel, err) < 0 || check_parent(l, image, parent, err) < 0)
			return err->code;
	}
	return OK;
}

/* ---- publish --------------------------------------------------------------- */

int load_publish_parents(struct load *l, struct err *err)
{
	for (size_t i = 0; i < l->n_images; i++) {
		const struct load_image *image = &l->images[i];
		int r = digest_is_set(&image->parent)
				? image_set_parent(l->service->store, &image->config, &image->parent, err)
				: OK;

		if (r < 0 && r != E_ABORTED) /* one of them went: there is no pair */
			return r;
	}
	return OK;
}
