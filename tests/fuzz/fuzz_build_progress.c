/* Events of a build, each behind its length, through every display of progress: as a service, or a
 * log on record, may have them. */
#include "client/cli/build/progress.h"
#include "proto/runtime/codec.h"

enum { WIDTH_MAX = 256, NS_PER_MS = 1000 * 1000 };

static void take(void *arg, const void *data, size_t len)
{
	*(size_t *)arg += len && *(const char *)data;
}

static void show(enum build_progress_mode mode, int width, struct bytes events)
{
	size_t bytes = 0;
	const struct build_progress_options options = {
		.mode = mode,
		.title = "title",
		.driver = "driver",
		.width = width,
		.height = width / 4,
		.colours = width % 2,
		.write = take,
		.arg = &bytes,
	};
	CLEANUP(build_progress_freep) struct build_progress *p = NULL;
	CLEANUP(arena_free) struct arena a;
	int64_t now = 1;

	arena_init(&a, 1 << 20);
	if (build_progress_new(&options, &p, NULL) < 0)
		return;
	while (events.len > 2) {
		size_t len = min_size(events.data[0] + 256u * events.data[1], events.len - 2);
		const struct bytes wire = { events.data + 2, len };
		ProtobufCMessage *m;
		struct err err = ERR_INIT;

		arena_reset(&a, 1 << 20);
		if (codec_unpack(&imaged__v1__build_event__descriptor, wire, &a, &m, &err) == OK)
			build_progress_event(p, (Imaged__V1__BuildEvent *)m, now, &err);
		now += (int64_t)len * NS_PER_MS;
		build_progress_tick(p, now);
		events.data += 2 + len;
		events.len -= 2 + len;
	}
	build_progress_end(p, width % 3 == 0, now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const enum build_progress_mode modes[] = { BUILD_PROGRESS_PLAIN, BUILD_PROGRESS_TTY,
							  BUILD_PROGRESS_RAWJSON };

	if (!len)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		show(modes[i], data[0] % WIDTH_MAX, (struct bytes){ data + 1, len - 1 });
	return 0;
}
