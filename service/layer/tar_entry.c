#include "service/layer/tar_entry.h"

static const struct tar_pax no_pax = { .size = -1, .real_size = -1 };

void tar_entry_begin(struct tar_entry *e)
{
	e->pax = no_pax;
	e->has_long_name = e->long_name_is_directory = false;
}

/* ---- extended headers -------------------------------------------------------- */

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
