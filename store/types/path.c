#include "store/types/path.h"

/* Takes the last part off what stands behind `from`. False when there is none to take. */
static bool go_up(struct buf *out, size_t from)
{
	size_t at = out->len;

	if (at == from)
		return false;
	while (at > from && out->data[at - 1] != '/')
		at--;
	if (out->len - at == 2 && !memcmp(out->data + at, "..", 2))
		return false;
	out->len = at > from ? at - 1 : from;
	out->data[out->len] = 0;
	return true;
}

bool path_clean(struct bytes path, struct buf *out)
{
	bool rooted = bytes_begin(path, "/");
	size_t start = out->len, from;

	if (rooted)
		buf_putc(out, '/');
	from = out->len;
	while (path.len) {
		size_t len = bytes_find(path, '/');
		struct bytes part = bytes_first(path, len);

		path = bytes_from(path, len + (len < path.len));
		if (!part.len || bytes_are(part, "."))
			continue;
		if (bytes_are(part, "..") && (go_up(out, from) || rooted))
			continue;
		if (out->len > from)
			buf_putc(out, '/');
		buf_append(out, part.data, part.len);
	}
	if (out->len == start)
		buf_putc(out, '.');
	return buf_ok(out);
}

bool path_join(const char *base, const char *path, struct buf *out)
{
	CLEANUP(freep) char *joined = *path == '/' ? strdup(path) : format("/%s/%s", base, path);

	return joined && path_clean(bytes_of(joined), out);
}
