/* One channel for eight threads, which all list and save at once, some of them leaving
 * a stream in its middle: threads IMAGE (IMAGED_HOST names the daemon) */
#include <imaged/client.h>
#include <pthread.h>
#include <stdio.h>

enum { THREADS = 8, ROUNDS = 10 };

struct worker {
	pthread_t thread;
	struct imaged_channel *channel;
	char *image;
	int leaves; /* after the first piece */
	long long saved, listed;
	struct imaged_error error;
};

static int list(struct worker *w)
{
	Imaged__V1__ListImagesRequest request = IMAGED__V1__LIST_IMAGES_REQUEST__INIT;
	Imaged__V1__ListImagesResponse *page = NULL;
	int r = imaged_list_images(w->channel, NULL, &request, &page, &w->error);

	if (r == 0)
		w->listed += (long long)page->n_images;
	imaged_list_images_free(page);
	return r;
}

static int save(struct worker *w)
{
	Imaged__V1__SaveRequest request = IMAGED__V1__SAVE_REQUEST__INIT;
	struct imaged_save_stream *stream = NULL;
	const Imaged__V1__SaveResponse *piece;
	int r;

	request.images = &w->image;
	request.n_images = 1;
	r = imaged_save_open(w->channel, NULL, &request, &stream, &w->error);
	while (r >= 0 && (r = imaged_save_next(stream, &piece, &w->error)) > 0) {
		w->saved += (long long)piece->data.len;
		if (w->leaves)
			break;
	}
	imaged_save_free(stream);
	return r < 0 ? r : 0;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < ROUNDS; i++)
		if (list(w) < 0 || save(w) < 0)
			break;
	return NULL;
}

static int check(const struct worker *w, const struct worker *first)
{
	if (!w->error.code && w->listed == ROUNDS && w->saved > 0 && (w->leaves || w->saved == first->saved))
		return 0;
	fprintf(stderr, "%lld listed, %lld bytes saved: %s\n", w->listed, w->saved, w->error.message);
	return 1;
}

int main(int argc, char **argv)
{
	static struct worker workers[THREADS];
	struct imaged_channel *channel = NULL;
	int failed = 0;

	if (argc != 2 || imaged_channel_open(NULL, &channel, NULL) < 0)
		return 2;
	for (int i = 0; i < THREADS; i++) {
		workers[i].channel = channel;
		workers[i].image = argv[1];
		workers[i].leaves = i % 4 == 3;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
			return 2;
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		failed |= check(&workers[i], &workers[0]);
	}
	imaged_channel_close(channel);
	return failed;
}
