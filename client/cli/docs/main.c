/*
 * imagectl-docs man|bash|zsh|fish TEMPLATE: writes the manual page or a shell's completions to
 * standard output, from the tables that imagectl itself runs by. Only the build calls it.
 */
#include "client/cli/docs/completion.h"
#include "client/cli/docs/manual.h"
#include "client/cli/file_error.h"

enum { TEMPLATE_MAX = 1024 * 1024, PAGE_MAX = 4 * 1024 * 1024 };

static int read_template(const char *path, struct buf *out, struct err *err)
{
	FILE *file = fopen(path, "re");
	char piece[4096];
	size_t n;
	bool failed;

	if (!file)
		return fail_file(err, "open", path);
	while ((n = fread(piece, 1, sizeof piece, file)) > 0)
		buf_append(out, piece, n);
	failed = ferror(file);
	fclose(file);
	if (failed)
		return fail_file(err, "read", path);
	return buf_ok(out) ? OK : fail(err, E_LIMIT, "'%s' is too long", path);
}

static int put_page(const char *kind, const char *template, struct buf *page, struct err *err)
{
	struct catalog catalog;
	int r = catalog_make(&catalog, err);

	if (r)
		return r;
	r = strcmp(kind, "man") != 0 ? completion_put(&catalog, kind, template, page, err)
				     : manual_put(&catalog, template, page, err);
	catalog_free(&catalog);
	return r || buf_ok(page) ? r : fail_nomem(err);
}

int main(int argc, char **argv)
{
	CLEANUP(buf_free) struct buf template = BUF_INIT(TEMPLATE_MAX);
	CLEANUP(buf_free) struct buf page = BUF_INIT(PAGE_MAX);
	struct err err = ERR_INIT;

	if (argc != 3) {
		fputs("usage: imagectl-docs man|bash|zsh|fish TEMPLATE\n", stderr);
		return 2;
	}
	if (read_template(argv[2], &template, &err) || put_page(argv[1], buf_text(&template), &page, &err)) {
		fprintf(stderr, "imagectl-docs: %s\n", err.text);
		return 1;
	}
	if (fwrite(page.data, 1, page.len, stdout) != page.len || fflush(stdout)) {
		perror("imagectl-docs");
		return 1;
	}
	return 0;
}
