#include "client/cli/input.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "client/cli/file_error.h"
#include "proto/runtime/mem.h"

int input_open(const char *path, struct input *ret_input, struct err *err)
{
	CLEANUP(input_close) struct input in = { .fd = path ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO };
	struct stat st;

	in.name = path ? path : "standard input";
	if (in.fd < 0 || fstat(in.fd, &st) < 0)
		return fail_file(err, "open", in.name);
	if (S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return fail_file(err, "read", in.name);
	}
	in.piece = malloc(INPUT_PIECE_BYTES);
	if (!in.piece)
		return fail_nomem(err);
	in.regular = S_ISREG(st.st_mode);
	in.size = in.regular ? st.st_size : 0;
	*ret_input = in;
	in.piece = NULL; /* the caller's from here on */
	take_fd(&in.fd);
	return OK;
}

void input_close(struct input *in)
{
	if (in->fd > STDIN_FILENO)
		close(in->fd);
	free(in->piece);
	*in = (struct input)INPUT_INIT;
}

int input_peek(struct input *in, size_t size, size_t *ret_len, struct err *err)
{
	while (in->kept < size) {
		ssize_t n = read(in->fd, in->piece + in->kept, size - in->kept);

		if (n < 0 && errno != EINTR)
			return fail_file(err, "read", in->name);
		if (n == 0)
			break;
		in->kept += n > 0 ? (size_t)n : 0;
	}
	*ret_len = in->kept;
	return OK;
}

int input_read(struct input *in, int64_t offset, int64_t size, size_t *ret_len, struct err *err)
{
	size_t room = size < INPUT_PIECE_BYTES ? (size_t)size : INPUT_PIECE_BYTES;
	ssize_t n;

	if (offset < 0 && in->kept) {
		*ret_len = in->kept;
		in->kept = 0;
		return OK;
	}
	do
		n = offset < 0 ? read(in->fd, in->piece, room) : pread(in->fd, in->piece, room, offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail_file(err, "read", in->name);
	*ret_len = (size_t)n;
	return OK;
}
