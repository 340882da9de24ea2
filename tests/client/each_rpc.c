/* Calls each RPC once, and checks an answer of it: each_rpc IMAGE REGISTRY
 * IMAGED_HOST names a daemon with an empty store; IMAGE lies in REGISTRY. Prints the
 * names of the calls that were good; the exit status says whether all were. */
#include <imaged/client.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct imaged_channel *channel;
static struct imaged_error error = IMAGED_ERROR_INIT;
static int failed;

static void report(const char *call, int r, int good)
{
	if (r == 0 && good)
		printf("%s\n", call);
	else
		fprintf(stderr, "%s: %s\n", call, r < 0 ? error.message : "another answer was expected");
	failed |= r < 0 || !good;
}

static int same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* In the condition, `answer` is the response. */
#define CALL(call, Response, request, condition)                                     \
	do {                                                                         \
		Imaged__V1__##Response *answer = NULL;                               \
		int result = imaged_##call(channel, NULL, request, &answer, &error); \
		report(#call, result, result == 0 && (condition));                   \
		imaged_##call##_free(answer);                                        \
	} while (0)

/* It must fail for this reason. */
#define REFUSED(call, Response, request, why)                                        \
	do {                                                                         \
		Imaged__V1__##Response *answer = NULL;                               \
		int result = imaged_##call(channel, NULL, request, &answer, &error); \
		report(#call, result < 0 && same(error.reason, why) ? 0 : -1, 1);    \
		imaged_##call##_free(answer);                                        \
	} while (0)

/* In the condition, which one message at least must fulfil, it is `answer`. */
#define FOLLOW(call, Message, stream, condition)                                     \
	do {                                                                         \
		const Imaged__V1__##Message *answer;                                 \
		int result, good = 0;                                                \
		while ((result = imaged_##call##_next(stream, &answer, &error)) > 0) \
			good |= (condition);                                         \
		report(#call, result, good);                                         \
		imaged_##call##_free(stream);                                        \
	} while (0)

/* ---- streams ------------------------------------------------------------------ */

static void pull(char *image)
{
	Imaged__V1__PullRequest request = IMAGED__V1__PULL_REQUEST__INIT;
	struct imaged_pull_stream *stream = NULL;

	request.reference = image;
	if (imaged_pull_open(channel, NULL, &request, &stream, &error) < 0)
		report("pull", -1, 0);
	else
		FOLLOW(pull, PullEvent, stream,
		       answer->event_case == IMAGED__V1__PULL_EVENT__EVENT_DONE &&
			       same(answer->done->reference, image));
}

/* To where it is: nothing is sent. */
static void copy(char *image)
{
	Imaged__V1__CopyRequest request = IMAGED__V1__COPY_REQUEST__INIT;
	struct imaged_copy_stream *stream = NULL;

	request.source = request.destination = image;
	if (imaged_copy_open(channel, NULL, &request, &stream, &error) < 0)
		report("copy", -1, 0);
	else
		FOLLOW(copy, PushEvent, stream,
		       answer->event_case == IMAGED__V1__PUSH_EVENT__EVENT_TAG && *answer->tag->digest);
}

/* To where it came from: nothing is sent. */
static void push(char *image)
{
	Imaged__V1__PushRequest request = IMAGED__V1__PUSH_REQUEST__INIT;
	struct imaged_push_stream *stream = NULL;

	request.reference = image;
	if (imaged_push_open(channel, NULL, &request, &stream, &error) < 0)
		report("push", -1, 0);
	else
		FOLLOW(push, PushEvent, stream,
		       answer->event_case == IMAGED__V1__PUSH_EVENT__EVENT_DONE && answer->done->sent_bytes == 0);
}

struct archive {
	uint8_t *data;
	size_t len;
};

static int append(struct archive *a, const ProtobufCBinaryData *piece)
{
	uint8_t *data = realloc(a->data, a->len + piece->len + 1);

	if (!data)
		abort();
	memcpy(data + a->len, piece->data, piece->len);
	a->data = data;
	a->len += piece->len;
	return a->len > 0;
}

static void save(char *image, struct archive *archive)
{
	Imaged__V1__SaveRequest request = IMAGED__V1__SAVE_REQUEST__INIT;
	struct imaged_save_stream *stream = NULL;

	request.images = &image;
	request.n_images = 1;
	if (imaged_save_open(channel, NULL, &request, &stream, &error) < 0)
		report("save", -1, 0);
	else
		FOLLOW(save, SaveResponse, stream, append(archive, &answer->data));
}

static void export_tree(char *image)
{
	Imaged__V1__ExportTreeRequest request = IMAGED__V1__EXPORT_TREE_REQUEST__INIT;
	struct imaged_export_tree_stream *stream = NULL;

	request.image = image;
	if (imaged_export_tree_open(channel, NULL, &request, &stream, &error) < 0)
		report("export_tree", -1, 0);
	else
		FOLLOW(export_tree, ExportTreeResponse, stream, answer->data.len > 0);
}

/* With itself: nothing differs. */
static void diff_images(char *image)
{
	Imaged__V1__DiffImagesRequest request = IMAGED__V1__DIFF_IMAGES_REQUEST__INIT;
	struct imaged_diff_images_stream *stream = NULL;

	request.from = request.to = image;
	if (imaged_diff_images_open(channel, NULL, &request, &stream, &error) < 0)
		report("diff_images", -1, 0);
	else
		FOLLOW(diff_images, DiffImagesEvent, stream,
		       answer->event_case == IMAGED__V1__DIFF_IMAGES_EVENT__EVENT_SUMMARY &&
			       answer->summary->total->changed == 0);
}

/* In order, and without listening meanwhile, which a small archive allows. */
static void load(const char *name, const struct archive *archive)
{
	Imaged__V1__LoadRequest request = IMAGED__V1__LOAD_REQUEST__INIT;
	Imaged__V1__LoadStart start = IMAGED__V1__LOAD_START__INIT;
	struct imaged_load_stream *stream = NULL;
	int r = imaged_load_open(channel, NULL, &stream, &error);

	request.request_case = IMAGED__V1__LOAD_REQUEST__REQUEST_START;
	request.start = &start;
	if (r == 0)
		r = imaged_load_send(stream, &request, &error);
	request.request_case = IMAGED__V1__LOAD_REQUEST__REQUEST_DATA;
	for (size_t at = 0; r == 0 && at < archive->len; at += request.data.len) {
		request.data.data = archive->data + at;
		request.data.len = archive->len - at < 262144 ? archive->len - at : 262144;
		r = imaged_load_send(stream, &request, &error);
	}
	if (r == 0)
		r = imaged_load_close_send(stream, &error);
	if (r < 0)
		report("load", r, 0);
	else
		FOLLOW(load, LoadEvent, stream,
		       answer->event_case == IMAGED__V1__LOAD_EVENT__EVENT_IMAGE &&
			       same(answer->image->references[0], name));
}

/* An image of nothing, without a name. */
static void import(void)
{
	Imaged__V1__ImportRequest request = IMAGED__V1__IMPORT_REQUEST__INIT;
	Imaged__V1__ImportStart start = IMAGED__V1__IMPORT_START__INIT;
	struct imaged_import_stream *stream = NULL;
	int r = imaged_import_open(channel, NULL, &stream, &error);

	request.request_case = IMAGED__V1__IMPORT_REQUEST__REQUEST_START;
	request.start = &start;
	if (r == 0)
		r = imaged_import_send(stream, &request, &error);
	if (r == 0)
		r = imaged_import_close_send(stream, &error);
	if (r < 0)
		report("import", r, 0);
	else
		FOLLOW(import, ImportEvent, stream, answer->event_case == IMAGED__V1__IMPORT_EVENT__EVENT_DONE);
}

static void check_store(void)
{
	Imaged__V1__CheckStoreRequest request = IMAGED__V1__CHECK_STORE_REQUEST__INIT;
	struct imaged_check_store_stream *stream = NULL;

	if (imaged_check_store_open(channel, NULL, &request, &stream, &error) < 0)
		report("check_store", -1, 0);
	else
		FOLLOW(check_store, CheckStoreEvent, stream,
		       answer->event_case == IMAGED__V1__CHECK_STORE_EVENT__EVENT_SUMMARY &&
			       answer->summary->blobs > 0 && answer->summary->findings == 0);
}

static void watch_events(const char *image)
{
	Imaged__V1__WatchEventsRequest request = IMAGED__V1__WATCH_EVENTS_REQUEST__INIT;
	struct imaged_watch_events_stream *stream = NULL;

	request.after_revision = 1;
	request.no_follow = 1;
	if (imaged_watch_events_open(channel, NULL, &request, &stream, &error) < 0)
		report("watch_events", -1, 0);
	else
		FOLLOW(watch_events, Event, stream,
		       answer->action == IMAGED__V1__EVENT__ACTION__ACTION_PULL && same(answer->name, image));
}

/* ---- calls that answer once ---------------------------------------------------- */

static void look_at(char *image)
{
	Imaged__V1__ListImagesRequest list = IMAGED__V1__LIST_IMAGES_REQUEST__INIT;
	Imaged__V1__InspectImageRequest inspect = IMAGED__V1__INSPECT_IMAGE_REQUEST__INIT;
	Imaged__V1__GetHistoryRequest history = IMAGED__V1__GET_HISTORY_REQUEST__INIT;
	Imaged__V1__GetDiskUsageRequest usage = IMAGED__V1__GET_DISK_USAGE_REQUEST__INIT;

	inspect.image = history.image = image;
	CALL(list_images, ListImagesResponse, &list, answer->n_images == 1);
	CALL(inspect_image, InspectImageResponse, &inspect, answer->n_layers == 1);
	CALL(get_history, GetHistoryResponse, &history, answer->n_entries > 0);
	CALL(get_disk_usage, GetDiskUsageResponse, &usage, answer->image_count == 1);
}

/* What is none: the registry of the test takes nothing new. */
static void put_manifest(char *image)
{
	Imaged__V1__PutManifestRequest put = IMAGED__V1__PUT_MANIFEST_REQUEST__INIT;

	put.reference = image;
	put.manifest = (ProtobufCBinaryData){ 2, (uint8_t *)"{}" };
	REFUSED(put_manifest, PutManifestResponse, &put, "INVALID_CONTENT");
}

/* Without pulling. The registry has no index: its catalog is looked through. */
static void ask_registry(char *image, const char *registry)
{
	Imaged__V1__SearchRequest search = IMAGED__V1__SEARCH_REQUEST__INIT;
	Imaged__V1__ListTagsRequest tags = IMAGED__V1__LIST_TAGS_REQUEST__INIT;
	Imaged__V1__InspectRemoteRequest inspect = IMAGED__V1__INSPECT_REMOTE_REQUEST__INIT;
	Imaged__V1__ListReferrersRequest referrers = IMAGED__V1__LIST_REFERRERS_REQUEST__INIT;
	char term[256], repository[256];

	snprintf(repository, sizeof repository, "%.*s", (int)(strrchr(image, ':') - image), image);
	snprintf(term, sizeof term, "%s/%s", registry, strrchr(repository, '/') + 1);
	search.term = term;
	tags.repository = repository;
	inspect.reference = referrers.reference = image;
	CALL(search, SearchResponse, &search, answer->n_results > 0 && same(answer->host, registry));
	CALL(list_tags, ListTagsResponse, &tags, answer->n_tags > 0 && same(answer->repository, repository));
	CALL(inspect_remote, InspectRemoteResponse, &inspect,
	     answer->manifest.len > 0 && same(answer->reference, image));
	CALL(list_referrers, ListReferrersResponse, &referrers, *answer->subject && answer->n_referrers == 0);
}

/* By a name that no machine has: what is mounted is tested elsewhere. */
static void mounts(char *image)
{
	static char nowhere[] = "/imaged-no-such-directory";
	Imaged__V1__MountImageRequest mount = IMAGED__V1__MOUNT_IMAGE_REQUEST__INIT;
	Imaged__V1__UnmountImageRequest unmount = IMAGED__V1__UNMOUNT_IMAGE_REQUEST__INIT;
	Imaged__V1__ListMountsRequest list = IMAGED__V1__LIST_MOUNTS_REQUEST__INIT;

	mount.image = image;
	mount.target = unmount.mount = (ProtobufCBinaryData){ strlen(nowhere), (uint8_t *)nowhere };
	REFUSED(mount_image, MountImageResponse, &mount, "NOT_FOUND");
	REFUSED(unmount_image, UnmountImageResponse, &unmount, "NOT_FOUND");
	CALL(list_mounts, ListMountsResponse, &list, answer->n_mounts == 0);
}

/* An image of nothing but its configuration, without a name. */
static void build(void)
{
	static char dockerfile[] = "FROM scratch\nLABEL a=b\n", name[] = "Dockerfile";
	Imaged__V1__BuildRequest request = IMAGED__V1__BUILD_REQUEST__INIT;
	Imaged__V1__BuildStart start = IMAGED__V1__BUILD_START__INIT;
	Imaged__V1__BuildContext context = IMAGED__V1__BUILD_CONTEXT__INIT;
	struct imaged_build_stream *stream = NULL;
	int r = imaged_build_open(channel, NULL, &stream, &error);

	context.source_case = IMAGED__V1__BUILD_CONTEXT__SOURCE_NONE;
	context.none = 1;
	start.context = &context;
	start.dockerfile = (ProtobufCBinaryData){ strlen(dockerfile), (uint8_t *)dockerfile };
	start.dockerfile_name = name;
	request.request_case = IMAGED__V1__BUILD_REQUEST__REQUEST_START;
	request.start = &start;
	if (r == 0)
		r = imaged_build_send(stream, &request, &error);
	if (r < 0)
		report("build", r, 0);
	else
		FOLLOW(build, BuildEvent, stream, answer->event_case == IMAGED__V1__BUILD_EVENT__EVENT_DONE);
}

static void get_build_log(void)
{
	Imaged__V1__GetBuildLogRequest request = IMAGED__V1__GET_BUILD_LOG_REQUEST__INIT;
	struct imaged_get_build_log_stream *stream = NULL;

	if (imaged_get_build_log_open(channel, NULL, &request, &stream, &error) < 0)
		report("get_build_log", -1, 0);
	else
		FOLLOW(get_build_log, BuildEvent, stream, answer->event_case == IMAGED__V1__BUILD_EVENT__EVENT_STEP);
}

static void builds(void)
{
	static char newest[] = "^0", *newest_only[] = { newest };
	Imaged__V1__ListBuildsRequest list = IMAGED__V1__LIST_BUILDS_REQUEST__INIT;
	Imaged__V1__RemoveBuildsRequest remove = IMAGED__V1__REMOVE_BUILDS_REQUEST__INIT;
	Imaged__V1__ListBuildCacheRequest list_cache = IMAGED__V1__LIST_BUILD_CACHE_REQUEST__INIT;
	Imaged__V1__PruneBuildCacheRequest prune = IMAGED__V1__PRUNE_BUILD_CACHE_REQUEST__INIT;

	build();
	get_build_log();
	CALL(list_builds, ListBuildsResponse, &list, answer->n_builds == 1);
	remove.ids = newest_only;
	remove.n_ids = 1;
	CALL(remove_builds, RemoveBuildsResponse, &remove, answer->n_removed == 1);
	CALL(list_build_cache, ListBuildCacheResponse, &list_cache, answer->n_entries == 0);
	CALL(prune_build_cache, PruneBuildCacheResponse, &prune, answer->count == 0);
}

static void tag(char *image, char *name)
{
	Imaged__V1__TagImageRequest request = IMAGED__V1__TAG_IMAGE_REQUEST__INIT;

	request.source = image;
	request.target = name;
	CALL(tag_image, TagImageResponse, &request, strstr(answer->name, name) != NULL);
}

static void pin(char *image)
{
	Imaged__V1__PinImageRequest request = IMAGED__V1__PIN_IMAGE_REQUEST__INIT;
	Imaged__V1__PinImageResponse *pinned = NULL;

	request.image = image;
	if (imaged_pin_image(channel, NULL, &request, &pinned, &error) < 0 || !*pinned->pinned_by)
		report("pin_image", -1, 0);
	imaged_pin_image_free(pinned);
	request.unpin = 1;
	CALL(pin_image, PinImageResponse, &request, !*answer->pinned_by);
}

static void remove_name(char *name)
{
	Imaged__V1__RemoveImageRequest request = IMAGED__V1__REMOVE_IMAGE_REQUEST__INIT;

	request.image = name;
	CALL(remove_image, RemoveImageResponse, &request, answer->n_items == 1);
}

static void prune_and_ask(char *registry)
{
	Imaged__V1__PruneImagesRequest prune = IMAGED__V1__PRUNE_IMAGES_REQUEST__INIT;
	Imaged__V1__CheckAuthRequest auth = IMAGED__V1__CHECK_AUTH_REQUEST__INIT;
	Imaged__V1__ExplainHostRequest explain = IMAGED__V1__EXPLAIN_HOST_REQUEST__INIT;
	Imaged__V1__GetVersionRequest version = IMAGED__V1__GET_VERSION_REQUEST__INIT;
	Imaged__V1__GetInfoRequest info = IMAGED__V1__GET_INFO_REQUEST__INIT;

	auth.server_address = registry;
	CALL(prune_images, PruneImagesResponse, &prune, answer->n_items == 3);
	CALL(check_auth, CheckAuthResponse, &auth, same(answer->server_address, registry));
	explain.host = registry;
	CALL(explain_host, ExplainHostResponse, &explain, answer->n_endpoints == 1);
	CALL(get_version, GetVersionResponse, &version, same(answer->version, imaged_client_version()));
	CALL(get_info, GetInfoResponse, &info, answer->images == 1);
}

static void watch_transfers(void)
{
	Imaged__V1__WatchTransfersRequest request = IMAGED__V1__WATCH_TRANSFERS_REQUEST__INIT;
	struct imaged_watch_transfers_stream *stream = NULL;

	request.no_follow = 1;
	if (imaged_watch_transfers_open(channel, NULL, &request, &stream, &error) < 0)
		report("watch_transfers", -1, 0);
	else
		FOLLOW(watch_transfers, WatchTransfersResponse, stream, answer->n_transfers == 0);
}

int main(int argc, char **argv)
{
	struct archive archive = { NULL, 0 };
	char name[] = "copy:1";

	if (argc != 3 || imaged_channel_open(NULL, &channel, &error) < 0)
		return 2;
	copy(argv[1]);
	ask_registry(argv[1], argv[2]);
	put_manifest(argv[1]);
	pull(argv[1]);
	push(argv[1]);
	look_at(argv[1]);
	mounts(argv[1]);
	tag(argv[1], name);
	pin(name);
	save(name, &archive);
	export_tree(name);
	diff_images(name);
	remove_name(name);
	load(name, &archive);
	import();
	builds();
	check_store();
	prune_and_ask(argv[2]);
	watch_events(argv[1]);
	watch_transfers();
	free(archive.data);
	imaged_channel_close(channel);
	return failed;
}
