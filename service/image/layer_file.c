#include "service/image/layer_file.h"

#include "service/layer/erofs/writer.h"
#include "service/layer/magic.h"

bool layer_file_is_made(struct store *s, const struct layer_facts *facts)
{
	return layer_image_exists(s, &facts->diff_id, EROFS_WRITER_VERSION);
}

/* ---- room ---------------------------------------------------------------------- */

int64_t layer_file_least(enum compression compression, int64_t size)
{
	return compression == COMPRESSION_NONE ? 0 : size;
}

int layer_file_begin(struct store *s, int fd, int64_t size, struct layer_image **ret_image, struct err *err)
{
	enum inflate_format format;
	int64_t least;
	int r = magic_of_file(fd, &format, err);

	if (r != OK)
		return r;
	least = format == INFLATE_PLAIN ? 0 : size;
	if (least && store_reserve(s, least, err) < 0)
		return err->code;
	return layer_image_new(s, ret_image, err);
}

/* The worker can say that the disk is full, and not how full. */
static void add_room(struct store *s, const struct layer_job *j, struct err *err)
{
	int64_t total, available;

	if (!err || store_disk(s, &total, &available, NULL) != OK)
		return;
	err->needed_bytes = layer_job_expected(j);
	err->free_bytes = available;
}

int layer_file_check(struct store *s, struct layer_job *j, struct err *err)
{
	int r = layer_job_check(j, err);

	if (r == E_DISK_FULL)
		add_room(s, j, err);
	return r;
}

/* ---- the end -------------------------------------------------------------------- */

int layer_file_finish(struct store *s, struct layer_job *j, struct layer_image *image, struct cancel *cancel,
		      struct layer_facts *ret_facts, struct err *err)
{
	const struct layer_image_facts *facts = layer_job_image(j);
	int fd = -1, r = layer_job_finish(j, cancel, ret_facts, err);

	if (r == E_DISK_FULL)
		add_room(s, j, err);
	if (r != OK || !image)
		return r;
	r = layer_image_accept(layer_image_take_fd(image), facts, cancel, &fd, err);
	if (r == OK)
		layer_image_seal(image, fd, facts);
	return r;
}
