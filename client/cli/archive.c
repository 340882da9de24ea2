#include "client/cli/archive.h"

int archive_take(struct archive *a, const ProtobufCBinaryData *piece)
{
	if (a->file.fd >= 0)
		return output_file_write(&a->file, piece->data, piece->len, &a->own);
	cli_write(piece->data, piece->len);
	return cli_output_failed() ? fail(&a->own, E_IO, "standard output cannot be written to") : OK;
}

static void drop(struct archive *a)
{
	output_file_drop(&a->file);
}

static int write_to(struct cli *cli, const char *path, archive_receive *receive, const void *request)
{
	CLEANUP(drop) struct archive a = { .file = OUTPUT_FILE_INIT, .own = ERR_INIT };
	struct err err = ERR_INIT;

	if (path && output_file_open(path, &a.file, &err) < 0)
		return cli_fail(&err);
	if (receive(cli, request, &a, &err) == OK)
		return path && output_file_finish(&a.file, &err) < 0 ? cli_fail(&err) : 0;
	if (cli_output_failed())
		return 1;
	if (a.own.code)
		return cli_fail(&a.own);
	cli_explain(cli, &err);
	return cli_fail_call(&err);
}

int archive_write(struct cli *cli, const char *output, const char *failed, archive_receive *receive,
		  const void *request)
{
	const char *path = output && *output ? output : NULL;
	struct err err = ERR_INIT;

	if (!path && isatty(STDOUT_FILENO)) {
		cli_warn("cowardly refusing to save to a terminal. Use the -o flag or redirect\n");
		return 1;
	}
	if (path && output_file_check(path, &err) < 0) {
		err_wrap(&err, "%s", failed);
		return cli_fail(&err);
	}
	return write_to(cli, path, receive, request);
}
