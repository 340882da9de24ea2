/* Saves images as one archive to a file descriptor, here stdout: save IMAGE... >FILE */
#include <errno.h>
#include <imaged/client.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno != EINTR)
			return -1;
		data += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* 0, or 1 when it said on stderr what went wrong. */
static int save(struct imaged_channel *channel, char **images, size_t n_images, int fd)
{
	Imaged__V1__SaveRequest request = IMAGED__V1__SAVE_REQUEST__INIT;
	struct imaged_error error = IMAGED_ERROR_INIT;
	struct imaged_save_stream *stream = NULL;
	const Imaged__V1__SaveResponse *piece;
	long long bytes = 0;
	int r, written = 0;

	request.images = images;
	request.n_images = n_images;
	r = imaged_save_open(channel, NULL, &request, &stream, &error);
	while (r >= 0 && written == 0 && (r = imaged_save_next(stream, &piece, &error)) > 0) {
		written = write_all(fd, piece->data.data, piece->data.len);
		bytes += (long long)piece->data.len;
	}
	if (written < 0)
		fprintf(stderr, "save: cannot write: %s\n", strerror(errno));
	else if (r < 0)
		fprintf(stderr, "save: %s (%s)\n", error.message, error.reason);
	else
		fprintf(stderr, "saved %lld bytes\n", bytes);
	imaged_save_free(stream); /* cancels it, if it was left early */
	return r < 0 || written < 0;
}

int main(int argc, char **argv)
{
	struct imaged_error error = IMAGED_ERROR_INIT;
	struct imaged_channel *channel = NULL;
	int failed;

	if (argc < 2 || isatty(STDOUT_FILENO)) {
		fprintf(stderr, "usage: %s IMAGE... >FILE\n", argv[0]);
		return 2;
	}
	if (imaged_channel_open(NULL, &channel, &error) < 0) {
		fprintf(stderr, "save: %s (%s)\n", error.message, error.reason);
		return 1;
	}
	failed = save(channel, argv + 1, (size_t)argc - 1, STDOUT_FILENO);
	imaged_channel_close(channel);
	return failed;
}
