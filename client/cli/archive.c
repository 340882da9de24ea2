#include "client/cli/archive.h"

#include "client/cli/progress_mode.h"

enum { TELL_BYTES = 16 * 1024 * 1024 };

static void tell(struct archive *a, const char *event)
{
	if (a->json)
		cli_warn("{\"event\":\"%s\",\"bytes\":%lld}\n", event, (long long)a->bytes);
	a->told = a->bytes;
}

int archive_take(struct archive *a, const ProtobufCBinaryData *piece)
{
	a->bytes += (int64_t)piece->len;
	if (a->bytes - a->told >= TELL_BYTES)
		tell(a, "progress");
	if (a->file.fd >= 0)
		return output_file_write(&a->file, piece->data, piece->len, &a->own);
	cli_write(piece->data, piece->len);
	return cli_output_failed() ? fail(&a->own, E_IO, "standard output cannot be written to") : OK;
}

static void drop(struct archive *a)
{
	output_file_drop(&a->file);
}

static int fail_here(const struct archive *a, const struct err *err)
{
	return a->json ? progress_json_error(progress_stderr, err) : cli_fail(err);
}

static int finish(struct archive *a, const char *path)
{
	struct err err = ERR_INIT;

	if (path && output_file_finish(&a->file, &err) < 0)
		return fail_here(a, &err);
	tell(a, "done");
	return 0;
}

static int write_to(struct cli *cli, const char *path, bool json, archive_receive *receive, const void *request)
{
	CLEANUP(drop) struct archive a = { .file = OUTPUT_FILE_INIT, .own = ERR_INIT, .json = json };
	struct err err = ERR_INIT;

	if (path && output_file_open(path, &a.file, &err) < 0)
		return fail_here(&a, &err);
	if (receive(cli, request, &a, &err) == OK)
		return finish(&a, path);
	if (cli_output_failed())
		return 1;
	if (a.own.code)
		return fail_here(&a, &a.own);
	cli_explain(cli, &err);
	if (err.code == E_NO_PLATFORM) /* of a stream it is told without, but this is an answer */
		err_wrap(&err, "Error response from daemon");
	return json ? fail_here(&a, &err) : cli_fail_call(&err);
}

int archive_write(struct cli *cli, const char *output, const char *failed, bool json, archive_receive *receive,
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
	return write_to(cli, path, json, receive, request);
}
