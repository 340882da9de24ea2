/* protoc-gen-imaged-c: the plugin program that protoc starts. */
#include <stdio.h>

#include "proto/plugin/plugin.h"

static int read_all(int fd, struct buf *in, struct err *err)
{
	enum { STEP = 64 * 1024 };

	for (;;) {
		void *room = buf_reserve(in, STEP);
		ssize_t n;

		if (!room)
			return fail(err, E_LIMIT, "the request of protoc is too large, or memory is short");
		n = read(fd, room, STEP);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "read the request of protoc");
		if (n == 0)
			return OK;
		in->len += (size_t)n;
	}
}

static int write_all(int fd, struct bytes out, struct err *err)
{
	while (out.len) {
		ssize_t n = write(fd, out.data, out.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "write the response to protoc");
		out.data += n;
		out.len -= (size_t)n;
	}
	return OK;
}

static int run(struct err *err)
{
	CLEANUP(buf_free) struct buf in = BUF_INIT(PLUGIN_REQUEST_MAX);
	CLEANUP(buf_free) struct buf out = BUF_INIT(PLUGIN_OUTPUT_MAX);
	int r = read_all(STDIN_FILENO, &in, err);

	if (r == OK)
		r = plugin_run(buf_bytes(&in), &out, err);
	return r < 0 ? r : write_all(STDOUT_FILENO, buf_bytes(&out), err);
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;

	if (argc > 1) {
		if (!strcmp(argv[1], "--version")) {
			puts("protoc-gen-imaged-c " IMAGED_VERSION);
			return 0;
		}
		fprintf(stderr, "%s is started by protoc: protoc --imaged-c_out=DIR -I ROOT FILE.proto\n", argv[0]);
		return 2;
	}
	if (run(&err) < 0) {
		fprintf(stderr, "protoc-gen-imaged-c: %s\n", err.text);
		return 1;
	}
	return 0;
}
