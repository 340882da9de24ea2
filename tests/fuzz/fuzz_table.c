/* Any text as a table, and what measures and cuts its cells. */
#include "client/cli/format/table.h"
#include "client/cli/format/units.h"
#include "client/cli/format/width.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text text = { (const char *)data, size };
	struct buf out = BUF_INIT(64 * 1024 * 1024), cut = BUF_INIT(1024 * 1024);
	size_t narrow = width_of(text.data, size, false), wide = width_of(text.data, size, true);

	if (narrow > wide || wide > 2 * size)
		abort();
	if (table_render(text, size & 1, &out, NULL) == OK && out.len < size - (size ? 1 : 0) &&
	    !memchr(data, '\v', size) && !memchr(data, '\t', size))
		abort();
	ellipsis(&cut, text, (int)(size % 50));
	buf_free(&out);
	buf_free(&cut);
	return 0;
}
