/* Pulls an image and shows how it comes: pull IMAGE [unix:///PATH | tcp://HOST:PORT] */
#include <imaged/client.h>
#include <stdio.h>

static void show(const Imaged__V1__PullEvent *event)
{
	static const char *const states[] = { "", "exists", "waiting", "download", "verify", "complete", "retry" };
	const Imaged__V1__LayerProgress *layer = event->layer;

	if (event->event_case == IMAGED__V1__PULL_EVENT__EVENT_LAYER)
		printf("%.19s %-8s %lld of %lld bytes\n", layer->digest, states[layer->state < 7 ? layer->state : 0],
		       (long long)layer->current, (long long)layer->total);
	if (event->event_case == IMAGED__V1__PULL_EVENT__EVENT_DONE)
		printf("%s is %s\n", event->done->reference, event->done->image_id);
}

int main(int argc, char **argv)
{
	Imaged__V1__PullRequest request = IMAGED__V1__PULL_REQUEST__INIT;
	struct imaged_channel_options options = IMAGED_CHANNEL_OPTIONS_INIT;
	struct imaged_error error = IMAGED_ERROR_INIT;
	struct imaged_channel *channel = NULL;
	struct imaged_pull_stream *stream = NULL;
	const Imaged__V1__PullEvent *event;
	int r;

	request.reference = argc > 1 ? argv[1] : request.reference;
	options.address = argc > 2 ? argv[2] : NULL; /* IMAGED_HOST, or where imaged is by default */
	r = imaged_channel_open(&options, &channel, &error);
	if (r == 0)
		r = imaged_pull_open(channel, NULL, &request, &stream, &error);
	while (r >= 0 && (r = imaged_pull_next(stream, &event, &error)) > 0)
		show(event);
	if (r < 0)
		fprintf(stderr, "pull: %s (%s)\n", error.message, error.reason);
	imaged_pull_free(stream);
	imaged_channel_close(channel);
	return r < 0;
}
