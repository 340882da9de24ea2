#include "client/cli/docs/values.h"

static const char *file_or_directory(const char *name)
{
	static const char *const files[] = { "file",   "iidfile",   "input",   "metadata-file",
					     "output", "tlscacert", "tlscert", "tlskey" };

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (!strcmp(files[i], name))
			return "file";
	return !strcmp(name, "config") ? "directory" : NULL;
}

/* The words in quotes that a bracket begins with. */
static void put_listed(struct buf *out, const char *usage)
{
	const char *p = strstr(usage, "(\""), *separator = "";

	for (p = p ? p + 1 : NULL; p && *p == '"'; p += strspn(p, ", ")) {
		size_t len = strcspn(p + 1, "\"");

		buf_printf(out, "%s%.*s", separator, (int)len, p + 1);
		p += 1 + len + (p[1 + len] != 0);
		separator = ",";
	}
}

void flag_values_put(struct buf *out, const struct flag *flag)
{
	const char *kind = file_or_directory(flag->name);

	if (kind)
		buf_puts(out, kind);
	else
		put_listed(out, flag->usage);
}

const char *argument_values(const struct command_spec *spec)
{
	static const struct {
		const char *word, *values;
	} known[] = {
		{ "PATH", "directories" }, { "file|", "files" },     { "DIRECTORY", "directories" },
		{ "IMAGE", "images" },	   { "NAME", "images" },     { "REPOSITORY", "images" },
		{ "SOURCE", "images" },	   { "MANIFEST", "images" },
	};

	/* "image mount IMAGE DIRECTORY" begins with an image */
	if (strstr(spec->usage, "IMAGE"))
		return "images";
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strstr(spec->usage, known[i].word))
			return known[i].values;
	return "";
}
