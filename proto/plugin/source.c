#include "proto/plugin/source.h"

#include <stdarg.h>
#include <stdio.h>

typedef Google__Protobuf__SourceCodeInfo__Location Location;

struct place place_of(struct arena *a, const struct place *above, int32_t number, size_t index)
{
	int32_t *path = arena_array(a, above->n_path + 2, sizeof *path);

	if (!path)
		return *above;
	for (size_t i = 0; i < above->n_path; i++)
		path[i] = above->path[i];
	path[above->n_path] = number;
	path[above->n_path + 1] = (int32_t)index;
	return (struct place){ above->file, path, above->n_path + 2 };
}

static const Location *find_location(const struct place *place)
{
	const Google__Protobuf__SourceCodeInfo *info = place->file->source_code_info;

	for (size_t i = 0; info && i < info->n_location; i++) {
		const Location *l = info->location[i];

		if (l->n_path == place->n_path &&
		    (!l->n_path || !memcmp(l->path, place->path, l->n_path * sizeof *l->path)))
			return l;
	}
	return NULL;
}

int source_line(const struct place *place)
{
	const Location *l = find_location(place);

	return l && l->n_span && l->span[0] >= 0 && l->span[0] < INT32_MAX ? l->span[0] + 1 : 0;
}

const char *source_comment(const struct place *place)
{
	const Location *l = find_location(place);

	return l ? text_of(l->leading_comments) : "";
}

int fail_at(struct err *err, const struct place *place, const char *fmt, ...)
{
	int line = source_line(place);
	struct err detail = ERR_INIT;
	va_list ap;

	va_start(ap, fmt);
	failv(&detail, E_INVALID, fmt, ap);
	va_end(ap);
	if (!line)
		return fail(err, E_INVALID, "%s: %s", text_of(place->file->name), detail.text);
	return fail(err, E_INVALID, "%s:%d: %s", text_of(place->file->name), line, detail.text);
}
