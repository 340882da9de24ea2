#include "service/image/layer_file.h"

#include "service/layer/erofs/writer.h"

bool layer_file_is_made(struct store *s, const struct layer_facts *facts)
{
	return layer_image_exists(s, &facts->diff_id, EROFS_WRITER_VERSION);
}

/* The worker can say that the disk is full, and not how full. */
static void add_room(struct store *s, struct err *err)
{
	int64_t total, available;

	if (err && store_disk(s, &total, &available, NULL) == OK)
		err->free_bytes = available;
}

int layer_file_finish(struct store *s, struct layer_job *j, struct layer_image *image, struct cancel *cancel,
		      struct layer_facts *ret_facts, struct err *err)
{
	const struct layer_image_facts *facts = layer_job_image(j);
	int fd = -1, r = layer_job_finish(j, cancel, ret_facts, err);

	if (r == E_DISK_FULL)
		add_room(s, err);
	if (r != OK || !image)
		return r;
	r = layer_image_accept(layer_image_take_fd(image), facts, cancel, &fd, err);
	if (r == OK)
		layer_image_seal(image, fd, facts);
	return r;
}
