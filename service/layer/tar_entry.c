#include "service/layer/tar_entry.h"

static const struct tar_pax no_pax = { .size = -1, .real_size = -1 };

void tar_entry_begin(struct tar_entry *e)
{
	e->pax = no_pax;
	e->has_long_name = e->long_name_is_directory = false;
}

/* ---- extended headers -------------------------------------------------------- */

bool tar_entry_is_extended(const struct tar_entry *e)
{
	uint8_t type = e->header.type;

	return type == TAR_PAX || type == TAR_PAX_GLOBAL || type == TAR_GNU_LONG_NAME || type == TAR_GNU_LONG_LINK;
}

static void take_long_name(struct tar_entry *e, struct bytes name)
{
	size_t len = strnlen((const char *)name.data, name.len);

	e->has_long_name = len > 0;
	e->long_name_is_directory = len && name.data[len - 1] == '/';
}

const char *tar_entry_take_extended(struct tar_entry *e, struct bytes content)
{
	struct tar_pax pax = no_pax;
	const char *wrong = NULL;

	if (e->header.type == TAR_PAX || e->header.type == TAR_PAX_GLOBAL)
		wrong = tar_pax_read(content, &pax);
	else if (e->header.type == TAR_GNU_LONG_NAME)
		take_long_name(e, content);
	if (!wrong && e->header.type == TAR_PAX)
		e->pax = pax;
	return wrong;
}

/* ---- the entry --------------------------------------------------------------- */

/* V7 had no typeflag for directories: their name ends with a slash. */
static bool is_directory_v7(const struct tar_entry *e)
{
	if (e->header.type != TAR_REGULAR_V7)
		return false;
	if (e->pax.has_path)
		return e->pax.path_is_directory;
	return e->has_long_name ? e->long_name_is_directory : e->header.name_is_directory;
}

bool tar_entry_is_directory(const struct tar_entry *e)
{
	return e->header.type == TAR_DIRECTORY || is_directory_v7(e);
}

bool tar_entry_is_regular(const struct tar_entry *e)
{
	switch (e->header.type) {
	case TAR_REGULAR_V7:
		return !is_directory_v7(e);
	case TAR_REGULAR:
	case TAR_CONTIGUOUS:
	case TAR_GNU_SPARSE:
		return true;
	default:
		return false;
	}
}

uint64_t tar_entry_stored(const struct tar_entry *e)
{
	if (e->header.type >= TAR_HARD_LINK && e->header.type <= TAR_FIFO)
		return 0;
	if (is_directory_v7(e))
		return 0;
	return (uint64_t)(e->pax.size >= 0 ? e->pax.size : e->header.size);
}
