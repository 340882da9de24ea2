/* How images become rows; shared by `images` and `system df -v`. */
#ifndef CLIENT_CLI_COMMANDS_IMAGES_H
#define CLIENT_CLI_COMMANDS_IMAGES_H

#include "client/cli/format/rows.h"
#include "imaged/v1/image.pb-c.h"

/* What one row shows; texts are borrowed. */
struct image_row {
	const Imaged__V1__ImageSummary *image;
	const char *repository, *tag, *digest;
	bool whole_id;
	/* system df -v: bytes; < 0: "N/A" */
	int64_t shared_size, unique_size;
	int64_t containers;
};

struct value image_row_value(struct arena *a, const struct image_row *row, int64_t now_ns);
struct value image_header(struct arena *a);

struct images_view {
	bool digests; /* --digests */
	bool quiet, no_trunc;
	const char *format; /* NULL: the default */
	/* Patterns of the reference filter: other names of an image are hidden. */
	char *const *references;
	size_t n_references;
	int64_t now_ns;
};

/* The output of `images` in the making: of an image that was added only the text of its rows is
 * kept. The view must outlive it. E_TEMPLATE where the format is wrong. */
struct images_output;
int images_open(const struct images_view *view, struct images_output **ret_output, struct err *err);
int images_add(struct images_output *o, Imaged__V1__ImageSummary *const *images, size_t n, struct err *err);
/* ret_rows says how many rows there are. */
int images_finish(struct images_output *o, struct buf *out, size_t *ret_rows, struct err *err);
void images_freep(struct images_output **o);

#endif
