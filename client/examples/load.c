/* Loads the images of an archive from a file descriptor, here stdin: load <FILE
 * One thread sends the archive while the other one receives what becomes of it. */
#include <errno.h>
#include <imaged/client.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The whole archive; a send that fails means that the server has ended the call. */
static void *send_archive(void *arg)
{
	static uint8_t buffer[256 * 1024];
	struct imaged_load_stream *stream = arg;
	Imaged__V1__LoadStart start = IMAGED__V1__LOAD_START__INIT;
	Imaged__V1__LoadRequest request = IMAGED__V1__LOAD_REQUEST__INIT;
	ssize_t n = 0;
	int r;

	request.request_case = IMAGED__V1__LOAD_REQUEST__REQUEST_START;
	request.start = &start;
	r = imaged_load_send(stream, &request, NULL);
	request.request_case = IMAGED__V1__LOAD_REQUEST__REQUEST_DATA;
	while (r == 0 && (n = read(STDIN_FILENO, buffer, sizeof buffer)) > 0) {
		request.data.data = buffer;
		request.data.len = (size_t)n;
		r = imaged_load_send(stream, &request, NULL);
	}
	if (n < 0) {
		fprintf(stderr, "load: cannot read: %s\n", strerror(errno));
		imaged_load_cancel(stream); /* half an archive must not look like a whole one */
	} else if (r == 0) {
		imaged_load_close_send(stream, NULL);
	}
	return NULL;
}

static void show(const Imaged__V1__LoadEvent *event)
{
	if (event->event_case == IMAGED__V1__LOAD_EVENT__EVENT_IMAGE)
		printf("%s is %s\n", event->image->n_references ? event->image->references[0] : "an image without name",
		       event->image->image_id);
	if (event->event_case == IMAGED__V1__LOAD_EVENT__EVENT_DONE)
		printf("%lld bytes were new\n", (long long)event->done->new_bytes);
}

int main(void)
{
	struct imaged_error error = IMAGED_ERROR_INIT;
	struct imaged_channel *channel = NULL;
	struct imaged_load_stream *stream = NULL;
	const Imaged__V1__LoadEvent *event;
	pthread_t sender;
	int r = imaged_channel_open(NULL, &channel, &error);

	if (r == 0)
		r = imaged_load_open(channel, NULL, &stream, &error);
	if (r == 0 && pthread_create(&sender, NULL, send_archive, stream) != 0) {
		snprintf(error.reason, sizeof error.reason, "NO_THREAD"); /* a name of the program's own */
		snprintf(error.message, sizeof error.message, "cannot start a thread");
		r = -IMAGED_RESOURCE_EXHAUSTED;
	}
	if (r == 0) {
		while ((r = imaged_load_next(stream, &event, &error)) > 0)
			show(event);
		pthread_join(sender, NULL);
	}
	if (r < 0)
		fprintf(stderr, "load: %s (%s)\n", error.message, error.reason);
	imaged_load_free(stream);
	imaged_channel_close(channel);
	return r < 0;
}
