/*
 * Times single calls of a C program over the generated client stubs.
 *
 *   calls ADDRESS IMAGE [ROUNDS]
 *
 * IMAGE is one that the daemon has. Prints "NAME median min max" in milliseconds,
 * one line a measurement:
 *   list-first   the first page of ListImages, as a client asks for it by default
 *   list-all     every page of it, by the largest pages
 *   inspect      InspectImage with the raw bytes
 *   history      GetHistory
 *   tag, untag   TagImage, RemoveImage of that name: durable when they return
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "imaged/v1/image_service.client.h"
#include "proto/runtime/mem.h"

enum { ROUNDS_DEFAULT = 51, ROUNDS_MAX = 10000, PAGE_LARGEST = 1000 };

struct bench {
	struct rpc_channel *channel;
	const char *image;
	size_t rounds;
	size_t listed; /* images that list-all saw */
};

static const struct rpc_call_options patient = { .timeout_ms = 60000 };

static int list_page(struct bench *b, int32_t size, char *token, char **ret_token, struct err *err)
{
	Imaged__V1__ListImagesRequest request = IMAGED__V1__LIST_IMAGES_REQUEST__INIT;
	CLEANUP(imaged__v1__image_service__list_images_freep) Imaged__V1__ListImagesResponse *page = NULL;
	int r;

	request.page_size = size;
	request.page_token = token ? token : request.page_token;
	r = imaged__v1__image_service__call_list_images(b->channel, &patient, &request, &page, err);
	if (r != OK)
		return r;
	b->listed += page->n_images;
	*ret_token = *page->next_page_token ? strdup(page->next_page_token) : NULL;
	return OK;
}

static int list_first(struct bench *b, struct err *err)
{
	CLEANUP(freep) char *token = NULL;

	return list_page(b, 0, NULL, &token, err);
}

static int list_all(struct bench *b, struct err *err)
{
	CLEANUP(freep) char *token = NULL;

	b->listed = 0;
	do {
		CLEANUP(freep) char *last = TAKE(token);
		int r = list_page(b, PAGE_LARGEST, last, &token, err);

		if (r != OK)
			return r;
	} while (token);
	return OK;
}

static int inspect(struct bench *b, struct err *err)
{
	Imaged__V1__InspectImageRequest request = IMAGED__V1__INSPECT_IMAGE_REQUEST__INIT;
	CLEANUP(imaged__v1__image_service__inspect_image_freep) Imaged__V1__InspectImageResponse *answer = NULL;

	request.image = (char *)b->image;
	request.include_raw = true;
	return imaged__v1__image_service__call_inspect_image(b->channel, &patient, &request, &answer, err);
}

static int history(struct bench *b, struct err *err)
{
	Imaged__V1__GetHistoryRequest request = IMAGED__V1__GET_HISTORY_REQUEST__INIT;
	CLEANUP(imaged__v1__image_service__get_history_freep) Imaged__V1__GetHistoryResponse *answer = NULL;

	request.image = (char *)b->image;
	return imaged__v1__image_service__call_get_history(b->channel, &patient, &request, &answer, err);
}

static char bench_name[] = "bench/call:measured";

static int tag(struct bench *b, struct err *err)
{
	Imaged__V1__TagImageRequest request = IMAGED__V1__TAG_IMAGE_REQUEST__INIT;
	CLEANUP(imaged__v1__image_service__tag_image_freep) Imaged__V1__TagImageResponse *answer = NULL;

	request.source = (char *)b->image;
	request.target = bench_name;
	return imaged__v1__image_service__call_tag_image(b->channel, &patient, &request, &answer, err);
}

static int untag(struct bench *b, struct err *err)
{
	Imaged__V1__RemoveImageRequest request = IMAGED__V1__REMOVE_IMAGE_REQUEST__INIT;
	CLEANUP(imaged__v1__image_service__remove_image_freep) Imaged__V1__RemoveImageResponse *answer = NULL;

	request.image = bench_name;
	return imaged__v1__image_service__call_remove_image(b->channel, &patient, &request, &answer, err);
}

/* ---- timing --------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(const char *name, double *ms, size_t n)
{
	qsort(ms, n, sizeof *ms, by_value);
	printf("%s %.3f %.3f %.3f\n", name, ms[n / 2], ms[0], ms[n - 1]);
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static double elapsed_ms(int64_t since)
{
	return (double)(now_ns() - since) / 1e6;
}

typedef int step(struct bench *b, struct err *err);

/* Times `first` and, where there is one, `second`, in turn. */
static int measure(struct bench *b, const char *name, step *first, const char *name2, step *second, struct err *err)
{
	CLEANUP(freep) double *ms = calloc(b->rounds, sizeof(*ms));
	CLEANUP(freep) double *ms2 = calloc(b->rounds, sizeof(*ms2));

	if (!ms || !ms2)
		return fail(err, E_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < b->rounds; i++) {
		int64_t begin = now_ns();
		int r = first(b, err);

		ms[i] = elapsed_ms(begin);
		begin = now_ns();
		if (r == OK && second)
			r = second(b, err);
		ms2[i] = elapsed_ms(begin);
		if (r != OK)
			return err_wrap(err, "%s", name);
	}
	report(name, ms, b->rounds);
	if (second)
		report(name2, ms2, b->rounds);
	return OK;
}

static int run(struct bench *b, struct err *err)
{
	int r = measure(b, "list-first", list_first, NULL, NULL, err);

	if (r == OK)
		r = measure(b, "list-all", list_all, NULL, NULL, err);
	printf("listed %zu\n", b->listed);
	if (r == OK)
		r = measure(b, "inspect", inspect, NULL, NULL, err);
	if (r == OK)
		r = measure(b, "history", history, NULL, NULL, err);
	return r == OK ? measure(b, "tag", tag, "untag", untag, err) : r;
}

int main(int argc, char **argv)
{
	struct rpc_channel_options options = { .address = argc > 1 ? argv[1] : NULL, .message_bytes = 64 << 20 };
	CLEANUP(rpc_channel_closep) struct rpc_channel *channel = NULL;
	struct err err = ERR_INIT;
	struct bench b = { .image = argc > 2 ? argv[2] : NULL, .rounds = ROUNDS_DEFAULT };
	int r;

	if (argc > 3)
		b.rounds = strtoul(argv[3], NULL, 10);
	if (argc < 3 || !b.rounds || b.rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: calls ADDRESS IMAGE [ROUNDS]\n");
		return 2;
	}
	r = rpc_channel_open(&options, &channel, &err);
	b.channel = channel;
	if (r == OK)
		r = rpc_channel_connect(channel, 10000, &err);
	if (r == OK)
		r = run(&b, &err);
	if (r != OK)
		fprintf(stderr, "calls: %s\n", err.text);
	return r == OK ? 0 : 1;
}
