/* Rows of images, history and disk usage; inspect; progress and the lines of a pull. */
#include "cli_test.h"

#include "client/cli/commands/disk_usage.h"
#include "client/cli/commands/history.h"
#include "client/cli/commands/images.h"
#include "client/cli/commands/inspector.h"
#include "client/cli/platform_check.h"
#include "client/cli/pull_view.h"

#define ID_A "sha256:2465309f578e0000000000000000000000000000000000000000000000000000"
#define ID_B "sha256:d5ca7a4456053674d490803005766890dd19e3f7e789a48737c0d462da531f5d"
#define DIGEST_A "sha256:f154feaf13b51d16e2b4b5575d69abc808da40c4b80e3a5055aaa4bcc5099d5b"
#define DIGEST_B "sha256:626ffe58f6e7566e00254b638eb7e0f3b11d4da9675088f4781a50ae288f3322"
#define NOW_NS (INT64_C(1700000000) * 1000000000)

/* ---- images --------------------------------------------------------------- */

static Google__Protobuf__Timestamp created = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

static Imaged__V1__ImageSummary summary(const char *id, int64_t size, char **tags, size_t n_tags, char **digests,
					size_t n_digests)
{
	Imaged__V1__ImageSummary m = IMAGED__V1__IMAGE_SUMMARY__INIT;

	created.seconds = 1634348865; /* two years before NOW_NS */
	m.id = (char *)id;
	m.size = size;
	m.repo_tags = tags;
	m.n_repo_tags = n_tags;
	m.repo_digests = digests;
	m.n_repo_digests = n_digests;
	m.created = &created;
	return m;
}

static void expect_images(const struct images_view *view, Imaged__V1__ImageSummary **images, size_t n,
			  const char *output)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1024 * 1024);
	CLEANUP(images_freep) struct images_output *made = NULL;
	struct err err = ERR_INIT;
	size_t rows;

	assert_int_equal(images_open(view, &made, &err), OK);
	assert_int_equal(images_add(made, images, n / 2, &err), OK);
	assert_int_equal(images_add(made, images + n / 2, n - n / 2, &err), OK);
	assert_int_equal(images_finish(made, &out, &rows, &err), OK);
	assert_string_equal(buf_text(&out), output);
}

/* The example of the user's text, two images under three names. */
static void images_show_a_row_for_each_tag(UNUSED void **state)
{
	char *tags_a[] = { (char *)"docker.io/library/ubuntu:22.04", (char *)"docker.io/library/ubuntu:version-22.04" };
	char *tags_b[] = { (char *)"docker.io/library/ubuntu:latest" };
	char *digests_a[] = { (char *)"docker.io/library/ubuntu@" DIGEST_A };
	char *digests_b[] = { (char *)"docker.io/library/ubuntu@" DIGEST_B };
	Imaged__V1__ImageSummary a = summary(ID_A, 68700000, tags_a, 2, digests_a, 1);
	Imaged__V1__ImageSummary b = summary(ID_B, 65593591, tags_b, 1, digests_b, 1);
	Imaged__V1__ImageSummary *images[] = { &a, &b };
	struct images_view view = { .now_ns = NOW_NS };
	char *patterns[] = { (char *)"*:22.04" };

	expect_images(&view, images, 2,
		      "REPOSITORY   TAG             IMAGE ID       CREATED       SIZE\n"
		      "ubuntu       22.04           2465309f578e   2 years ago   68.7MB\n"
		      "ubuntu       version-22.04   2465309f578e   2 years ago   68.7MB\n"
		      "ubuntu       latest          d5ca7a445605   2 years ago   65.6MB\n");
	view.digests = true;
	expect_images(&view, &images[1], 1,
		      "REPOSITORY   TAG       DIGEST                                                                   "
		      " IMAGE "
		      "ID       CREATED       SIZE\nubuntu       latest    " DIGEST_B
		      "   d5ca7a445605   2 years ago   65.6MB\n");
	view = (struct images_view){ .now_ns = NOW_NS, .quiet = true };
	expect_images(&view, images, 2, "2465309f578e\n2465309f578e\nd5ca7a445605\n");
	view = (struct images_view){ .now_ns = NOW_NS, .format = "{{.ID}}: {{.Repository}}" };
	expect_images(&view, images, 2, "2465309f578e: ubuntu\n2465309f578e: ubuntu\nd5ca7a445605: ubuntu\n");
	view = (struct images_view){ .now_ns = NOW_NS, .quiet = true, .references = patterns, .n_references = 1 };
	expect_images(&view, images, 1, "2465309f578e\n");
}

static void images_show_what_has_no_tag(UNUSED void **state)
{
	char *digests[] = { (char *)"r:5/a@" DIGEST_A, (char *)"r:5/a@" DIGEST_B };
	Imaged__V1__ImageSummary dangling = summary(ID_A, 9, NULL, 0, NULL, 0);
	Imaged__V1__ImageSummary by_digest = summary(ID_B, 9, NULL, 0, digests, 2);
	Imaged__V1__ImageSummary *images[] = { &dangling, &by_digest };
	struct images_view view = { .now_ns = NOW_NS, .format = "{{.Repository}}|{{.Tag}}|{{.ID}}" };

	dangling.created = NULL;
	expect_images(&view, images, 2, "<none>|<none>|2465309f578e\nr:5/a|<none>|d5ca7a445605\n");
	view.digests = true;
	view.format = "{{.Repository}} {{.Digest}} {{.CreatedSince}}.";
	expect_images(&view, images, 2,
		      "<none> <none> .\nr:5/a " DIGEST_A " 2 years ago.\nr:5/a " DIGEST_B " 2 years ago.\n");
	view = (struct images_view){ .now_ns = NOW_NS };
	expect_images(&view, images, 1,
		      "REPOSITORY   TAG       IMAGE ID       CREATED   SIZE\n<none>       <none>    2465309f578e   N/A "
		      "      9B\n");
}

static void images_speak_json_and_raw(UNUSED void **state)
{
	char *tags[] = { (char *)"docker.io/library/a:1" };
	Imaged__V1__ImageSummary a = summary(ID_A, 7, tags, 1, NULL, 0);
	Imaged__V1__ImageSummary *images[] = { &a };
	struct images_view view = { .now_ns = NOW_NS, .format = "json" };

	a.created = NULL;
	setenv("TZ", "UTC", 1);
	expect_images(
		&view, images, 1,
		"{\"Containers\":\"N/A\",\"CreatedAt\":\"0001-01-01 00:00:00 +0000 UTC\",\"CreatedSince\":\"\","
		"\"Digest\":\"\\u003cnone\\u003e\",\"ID\":\"2465309f578e\",\"Repository\":\"a\",\"SharedSize\":\"N/A\","
		"\"Size\":\"7B\",\"Tag\":\"1\",\"UniqueSize\":\"N/A\",\"VirtualSize\":\"7B\"}\n");
	view.format = "raw";
	expect_images(&view, images, 1,
		      "repository: a\ntag: 1\nimage_id: 2465309f578e\ncreated_at: 0001-01-01 00:00:00 +0000 UTC\n"
		      "virtual_size: 7B\n\n");
	view.quiet = true;
	expect_images(&view, images, 1, "image_id: 2465309f578e\n");
	expect_images(&(struct images_view){ .now_ns = NOW_NS, .digests = true, .format = "table {{.ID}}" }, images, 1,
		      "IMAGE ID       DIGEST\n2465309f578e   <none>\n");
}

/* ---- history -------------------------------------------------------------- */

static void history_shows_steps_as_docker_does(UNUSED void **state)
{
	Imaged__V1__HistoryEntry top = IMAGED__V1__HISTORY_ENTRY__INIT, base = IMAGED__V1__HISTORY_ENTRY__INIT;
	Imaged__V1__HistoryEntry *entries[] = { &top, &base };
	CLEANUP(buf_free) struct buf out = BUF_INIT(65536);
	struct history_view view = { .human = true, .now_ns = NOW_NS };

	created.seconds = 1634348865;
	top.id = (char *)ID_B;
	top.created = base.created = &created;
	top.created_by = (char *)"/bin/sh -c #(nop)  CMD [\"bash\"]";
	base.created_by = (char *)"/bin/sh -c #(nop) ADD file:ff4909f2124325dac58d43c617132325934e in / ";
	base.size = 65593591;
	setenv("LC_ALL", "zh_CN.UTF-8", 1); /* where the user's example was made */
	assert_int_equal(history_render(&view, entries, 2, &out, NULL), OK);
	setenv("LC_ALL", "C", 1);
	assert_string_equal(
		buf_text(&out),
		"IMAGE          CREATED       CREATED BY                                       SIZE      COMMENT\n"
		"d5ca7a445605   2 years ago   /bin/sh -c #(nop)  CMD [\"bash\"]                  0B        \n"
		"<missing>      2 years ago   /bin/sh -c #(nop) ADD file:ff4909f2124325dac…   65.6MB    \n");
	buf_reset(&out);
	setenv("TZ", "UTC", 1);
	view = (struct history_view){ .now_ns = NOW_NS, .format = "{{.Size}} {{.CreatedSince}}" };
	assert_int_equal(history_render(&view, entries, 2, &out, NULL), OK);
	assert_string_equal(buf_text(&out), "0 2021-10-16T01:47:45Z\n65593591 2021-10-16T01:47:45Z\n");
	buf_reset(&out);
	top.created = NULL;
	view = (struct history_view){ .now_ns = NOW_NS, .human = true, .format = "{{.ID}}: {{.CreatedSince}}" };
	assert_int_equal(history_render(&view, entries, 2, &out, NULL), OK);
	assert_string_equal(buf_text(&out), "d5ca7a445605: N/A\n<missing>: 2 years ago\n");
}

/* ---- inspect -------------------------------------------------------------- */

static const char inspected[] =
	"[\n    {\n        \"Id\": \"" ID_B "\",\n        \"RepoTags\": [\n            \"ubuntu:latest\"\n        ],\n"
	"        \"RepoDigests\": [],\n        \"Parent\": \"\",\n        \"Comment\": \"\",\n"
	"        \"Created\": \"2021-10-16T01:47:45.87597179Z\",\n        \"Container\": \"\",\n"
	"        \"ContainerConfig\": {\n            \"Hostname\": \"\",\n            \"Domainname\": \"\",\n"
	"            \"User\": \"\",\n            \"AttachStdin\": false,\n            \"AttachStdout\": false,\n"
	"            \"AttachStderr\": false,\n            \"Tty\": false,\n            \"OpenStdin\": false,\n"
	"            \"StdinOnce\": false,\n            \"Env\": null,\n            \"Cmd\": null,\n"
	"            \"Image\": \"\",\n            \"Volumes\": null,\n            \"WorkingDir\": \"\",\n"
	"            \"Entrypoint\": null,\n            \"OnBuild\": null,\n            \"Labels\": null\n        },\n"
	"        \"DockerVersion\": \"20.10.7\",\n        \"Author\": \"\",\n        \"Config\": {\n"
	"            \"Hostname\": \"\",\n            \"Domainname\": \"\",\n            \"User\": \"\",\n"
	"            \"AttachStdin\": false,\n            \"AttachStdout\": false,\n            \"AttachStderr\": "
	"false,\n"
	"            \"ExposedPorts\": {\n                \"53/udp\": {},\n                \"80/tcp\": {}\n            "
	"},\n"
	"            \"Tty\": false,\n            \"OpenStdin\": false,\n            \"StdinOnce\": false,\n"
	"            \"Env\": [\n                \"PATH=/bin\"\n            ],\n            \"Cmd\": [\n"
	"                \"bash\"\n            ],\n            \"Healthcheck\": {\n                \"Test\": [\n"
	"                    \"NONE\"\n                ],\n                \"Interval\": 30000000000\n            },\n"
	"            \"Image\": \"\",\n            \"Volumes\": null,\n            \"WorkingDir\": \"\",\n"
	"            \"Entrypoint\": null,\n            \"OnBuild\": null,\n            \"Labels\": {\n"
	"                \"html\": \"<a&b>\"\n            }\n        },\n        \"Architecture\": \"arm64\",\n"
	"        \"Variant\": \"v8\",\n        \"Os\": \"linux\",\n        \"Size\": 65593591,\n"
	"        \"VirtualSize\": 65593591,\n        \"GraphDriver\": {\n            \"Data\": null,\n"
	"            \"Name\": \"erofs\"\n        },\n        \"RootFS\": {\n            \"Type\": \"layers\",\n"
	"            \"Layers\": [\n                \"sha256:350f\"\n            ]\n        },\n        \"Metadata\": "
	"{\n"
	"            \"LastTagTime\": \"0001-01-01T00:00:00Z\"\n        }\n    }\n]\n";

struct example {
	Imaged__V1__InspectImageResponse response;
	Imaged__V1__ImageSummary image;
	Imaged__V1__Platform platform;
	Imaged__V1__ContainerConfig config;
	Imaged__V1__StringList env, cmd;
	Imaged__V1__HealthCheck health;
	Imaged__V1__LabelMap labels;
	Imaged__V1__LabelMap__ValuesEntry label, *label_list[1];
	Imaged__V1__Layer layer, *layers[1];
	Google__Protobuf__Timestamp created;
	char *tags[1], *env_items[1], *cmd_items[1], *ports[2], *test[1];
};

static void fill_config(struct example *e)
{
	imaged__v1__container_config__init(&e->config);
	imaged__v1__string_list__init(&e->env);
	imaged__v1__string_list__init(&e->cmd);
	imaged__v1__health_check__init(&e->health);
	imaged__v1__label_map__init(&e->labels);
	imaged__v1__label_map__values_entry__init(&e->label);
	e->env_items[0] = (char *)"PATH=/bin";
	e->env.values = e->env_items;
	e->cmd_items[0] = (char *)"bash";
	e->cmd.values = e->cmd_items;
	e->env.n_values = e->cmd.n_values = 1;
	e->test[0] = (char *)"NONE";
	e->health.test = e->test;
	e->health.n_test = 1;
	e->health.interval = 30000000000;
	e->label.key = (char *)"html";
	e->label.value = (char *)"<a&b>";
	e->label_list[0] = &e->label;
	e->labels.values = e->label_list;
	e->labels.n_values = 1;
	e->ports[0] = (char *)"80/tcp";
	e->ports[1] = (char *)"53/udp";
	e->config.exposed_ports = e->ports;
	e->config.n_exposed_ports = 2;
	e->config.env = &e->env;
	e->config.cmd = &e->cmd;
	e->config.healthcheck = &e->health;
	e->config.labels = &e->labels;
}

static void fill_example(struct example *e)
{
	imaged__v1__inspect_image_response__init(&e->response);
	imaged__v1__image_summary__init(&e->image);
	imaged__v1__platform__init(&e->platform);
	imaged__v1__layer__init(&e->layer);
	google__protobuf__timestamp__init(&e->created);
	fill_config(e);
	e->tags[0] = (char *)"docker.io/library/ubuntu:latest";
	e->created.seconds = 1634348865;
	e->created.nanos = 875971790;
	e->platform.os = (char *)"linux";
	e->platform.architecture = (char *)"arm64";
	e->platform.variant = (char *)"v8";
	e->layer.diff_id = (char *)"sha256:350f";
	e->layers[0] = &e->layer;
	e->image.id = (char *)ID_B;
	e->image.repo_tags = e->tags;
	e->image.n_repo_tags = 1;
	e->image.size = 65593591;
	e->image.created = &e->created;
	e->image.platform = &e->platform;
	e->response.image = &e->image;
	e->response.docker_version = (char *)"20.10.7";
	e->response.config = &e->config;
	e->response.layers = e->layers;
	e->response.n_layers = 1;
}

/* The output of all objects, or "error: …". */
static char *inspect(const char *format_text, size_t n)
{
	CLEANUP(inspector_free) struct inspector i = { 0 };
	CLEANUP(buf_free) struct buf out = BUF_INIT(1024 * 1024);
	struct err err = ERR_INIT;
	struct example e;
	int r = inspector_open(&i, format_text, &err);

	fill_example(&e);
	for (size_t k = 0; k < n && !r; k++)
		r = inspector_add(&i, &e.response, &err);
	if (!r)
		r = inspector_finish(&i, &out, &err);
	return r ? format("error: %s", err.text) : strdup(buf_text(&out));
}

static void inspect_prints_dockers_json(UNUSED void **state)
{
	CLEANUP(freep) char *text = inspect(NULL, 1);
	CLEANUP(freep) char *none = inspect(NULL, 0);
	CLEANUP(freep) char *two = inspect("", 2);

	assert_string_equal(text, inspected);
	assert_string_equal(none, "[]\n");
	assert_non_null(strstr(two, "\n    },\n    {\n        \"Id\""));
}

static void inspect_tries_the_struct_and_then_the_json(UNUSED void **state)
{
	static const struct {
		const char *format, *output;
	} cases[] = {
		{ "{{.Architecture}}: {{.Id}}", "arm64: " ID_B "\n" },
		{ "{{.ID}} {{printf \"%T %T\" .Size .RepoTags}}", ID_B " int64 []string\n" },
		{ "{{.Id}} {{printf \"%T %T\" .Size .RepoTags}}", ID_B " json.Number []interface {}\n" },
		{ "{{.Nope}}",
		  "error: template parsing error: template: :1:2: executing \"\" at <.Nope>: map has no entry for "
		  "key \"Nope\"" },
		{ "{{join .RepoTags \",\"}} {{.Config.Healthcheck}} {{.Config.ExposedPorts}} {{.RootFS}}",
		  "ubuntu:latest {[NONE] 30s 0s 0s 0s 0} map[53/udp:{} 80/tcp:{}] {layers [sha256:350f]}\n" },
		{ "{{.Config.Healthcheck.Interval}} {{.Config.Healthcheck.Interval.Seconds}}", "30s 30\n" },
		{ "{{json .Config}}",
		  "{\"ExposedPorts\":{\"53/udp\":{},\"80/tcp\":{}},\"Env\":[\"PATH=/"
		  "bin\"],\"Cmd\":[\"bash\"],\"Labels\":{"
		  "\"html\":\"<a&b>\"},\"Healthcheck\":{\"Test\":[\"NONE\"],\"Interval\":30000000000}}\n" },
		{ "{{.Metadata}} {{json .Metadata}} {{.GraphDriver}}",
		  "{0001-01-01 00:00:00 +0000 UTC} {\"LastTagTime\":\"0001-01-01T00:00:00Z\"} {map[] erofs}\n" },
		{ "{{.Container}}|{{.ContainerConfig.Hostname}}|{{.Config.Image}}", "||\n" },
		{ "a\\tb", "a\\tb\n" },
		{ " ", " \n" },
		{ "{{", "error: template parsing error: template: :1: unclosed action" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(freep) char *text = inspect(cases[i].format, 1);

		assert_string_equal(text, cases[i].output);
	}
}

static void inspect_prints_one_newline_for_nothing(UNUSED void **state)
{
	CLEANUP(freep) char *text = inspect("{{.Id}}", 0);

	assert_string_equal(text, "\n");
}

static void inspect_keeps_missing_keys_errors_once_it_needed_the_json(UNUSED void **state)
{
	CLEANUP(freep) char *before = inspect("{{.Config.Labels.zz}}", 1);
	CLEANUP(freep) char *after = inspect("{{.Id}}{{.Config.Labels.html}}", 2);

	assert_string_equal(before, "<no value>\n");
	assert_string_equal(after, ID_B "<a&b>\n" ID_B "<a&b>\n");
}

static void platform_must_be_the_images(UNUSED void **state)
{
	Imaged__V1__Platform actual = IMAGED__V1__PLATFORM__INIT;
	struct err err = ERR_INIT;

	actual.os = (char *)"linux";
	actual.architecture = (char *)"arm64";
	actual.variant = (char *)"v8";
	assert_int_equal(platform_check("ubuntu", &actual, NULL, &err), OK);
	assert_int_equal(platform_check("ubuntu", &actual, "linux/arm64", &err), OK);
	assert_int_equal(platform_check("ubuntu", &actual, "linux/s390x", &err), E_NOT_FOUND);
	assert_string_equal(err.text,
			    "image with reference ubuntu:latest was found but its platform (linux/arm64/v8) does "
			    "not match the specified platform (linux/s390x)");
	assert_int_equal(platform_check("ubuntu", &actual, "a/b/c/d", &err), E_INVALID_PLATFORM);
}

/* ---- disk usage ----------------------------------------------------------- */

static void disk_usage_has_dockers_four_rows(UNUSED void **state)
{
	Imaged__V1__GetDiskUsageResponse m = IMAGED__V1__GET_DISK_USAGE_RESPONSE__INIT;
	struct disk_usage_view view = { .now_ns = NOW_NS };
	CLEANUP(buf_free) struct buf out = BUF_INIT(65536);

	m.image_count = 13;
	m.layers_size = m.reclaimable_size = 4153000;
	assert_int_equal(disk_usage_render(&view, &m, &out, NULL), OK);
	assert_string_equal(buf_text(&out), "TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE\n"
					    "Images          13        0         4.153MB   4.153MB (100%)\n"
					    "Containers      0         0         0B        0B\n"
					    "Local Volumes   0         0         0B        0B\n"
					    "Build Cache     0         0         0B        0B\n");
	buf_reset(&out);
	view.format = "{{json .}}";
	assert_int_equal(disk_usage_render(&view, &m, &out, NULL), OK);
	assert_non_null(strstr(buf_text(&out),
			       "{\"Active\":\"0\",\"Reclaimable\":\"4.153MB (100%)\",\"Size\":\"4.153MB\","
			       "\"TotalCount\":\"13\",\"Type\":\"Images\"}\n"));
}

static void disk_usage_lists_images(UNUSED void **state)
{
	char *tags[] = { (char *)"docker.io/library/a:1", (char *)"docker.io/library/b:1" };
	Imaged__V1__GetDiskUsageResponse m = IMAGED__V1__GET_DISK_USAGE_RESPONSE__INIT;
	Imaged__V1__ImageSummary image = summary(ID_A, 2001234, tags, 2, NULL, 0);
	Imaged__V1__ImageUsage usage = IMAGED__V1__IMAGE_USAGE__INIT, *list[] = { &usage };
	struct disk_usage_view view = { .now_ns = NOW_NS, .verbose = true };
	CLEANUP(buf_free) struct buf out = BUF_INIT(65536);

	usage.image = &image;
	usage.shared_size = 2000000;
	usage.unique_size = 1234;
	m.images = list;
	m.n_images = 1;
	assert_int_equal(disk_usage_render(&view, &m, &out, NULL), OK);
	assert_non_null(strstr(
		buf_text(&out),
		"Images space usage:\n\nREPOSITORY   TAG       IMAGE ID       CREATED       SIZE      SHARED SIZE "
		"  UNIQUE SIZE   CONTAINERS\na            1         2465309f578e   2 years ago   2MB       2MB    "
		"       1.234kB       0\n\nContainers space usage:\n"));
	buf_reset(&out);
	view.format = "{{range .Images}}{{.Repository}} {{.UniqueSize}} {{.ID}}{{end}}";
	assert_int_equal(disk_usage_render(&view, &m, &out, NULL), OK);
	assert_string_equal(buf_text(&out), "a 1.234kB " ID_A);
}

/* ---- progress ------------------------------------------------------------- */

static struct buf screen = BUF_INIT(1024 * 1024);

static void to_screen(const void *data, size_t len)
{
	buf_append(&screen, data, len);
}

static void progress_bars_agree_with_docker(UNUSED void **state)
{
	static const struct {
		struct progress_count count;
		int width;
		const char *text;
	} cases[] = {
		{ { 0, 0 }, 200, "" },
		{ { 1360000, 2720000 }, 100, "  1.36MB/2.72MB" },
		{ { 933, 933 }, 200, "[==================================================>]     933B/933B" },
		{ { 524800, 3000000 }, 200, "[========>                                          ]  524.8kB/3MB" },
		{ { 3011000, 3000000 }, 200, "[==================================================>]  3.011MB" },
		{ { 500, 0 }, 200, "    500B" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(256);

		progress_bar(&out, &cases[i].count, cases[i].width);
		assert_string_equal(buf_text(&out), cases[i].text);
	}
}

static void progress_rewrites_lines_on_a_terminal(UNUSED void **state)
{
	struct progress p = { .terminal = true, .width = 100, .write = to_screen };
	const struct progress_count count = { 171, 171 };

	buf_reset(&screen);
	progress_status(&p, "a", "Pulling fs layer", NULL, NULL);
	progress_status(&p, "b", "Pulling fs layer", NULL, NULL);
	progress_status(&p, "a", "Downloading", &count, NULL);
	progress_line(&p, "Digest: %s", "x");
	progress_free(&p);
	assert_string_equal(
		buf_text(&screen),
		"\n\033[1A\033[2K\ra: Pulling fs layer \r\033[1B\n\033[1A\033[2K\rb: Pulling fs layer \r\033[1B"
		"\033[2A\033[2K\ra: Downloading     171B/171B\r\033[2BDigest: x\n");
}

/* ---- pull ----------------------------------------------------------------- */

#define LAYER_1 "sha256:e512182a2e220000000000000000000000000000000000000000000000000000"
#define LAYER_2 "sha256:706cfd2eb8160000000000000000000000000000000000000000000000000000"

static void layer(struct pull_view *v, const char *digest, Imaged__V1__LayerProgress__State layer_state,
		  int64_t current)
{
	Imaged__V1__PullEvent event = IMAGED__V1__PULL_EVENT__INIT;
	Imaged__V1__LayerProgress m = IMAGED__V1__LAYER_PROGRESS__INIT;

	m.digest = (char *)digest;
	m.state = layer_state;
	m.current = current;
	m.total = 100;
	event.event_case = IMAGED__V1__PULL_EVENT__EVENT_LAYER;
	event.layer = &m;
	assert_int_equal(pull_view_event(v, &event, NULL), OK);
}

static void finish(struct pull_view *v, bool up_to_date, const char *warning)
{
	Imaged__V1__PullEvent event = IMAGED__V1__PULL_EVENT__INIT;
	Imaged__V1__PullDone m = IMAGED__V1__PULL_DONE__INIT;

	m.root_digest = (char *)DIGEST_B;
	m.up_to_date = up_to_date;
	m.warning = (char *)warning;
	event.event_case = IMAGED__V1__PULL_EVENT__EVENT_DONE;
	event.done = &m;
	assert_int_equal(pull_view_event(v, &event, NULL), OK);
}

static void start(struct pull_view *v, struct reference *ref, const char *name)
{
	assert_int_equal(reference_parse(name, ref, NULL), OK);
	reference_default_tag(ref);
	*v = (struct pull_view){ .ref = ref, .progress = { .write = to_screen } };
	buf_reset(&screen);
}

#define EXISTS IMAGED__V1__LAYER_PROGRESS__STATE__STATE_EXISTS
#define WAITING IMAGED__V1__LAYER_PROGRESS__STATE__STATE_WAITING
#define DOWNLOADING IMAGED__V1__LAYER_PROGRESS__STATE__STATE_DOWNLOADING
#define VERIFYING IMAGED__V1__LAYER_PROGRESS__STATE__STATE_VERIFYING
#define COMPLETE IMAGED__V1__LAYER_PROGRESS__STATE__STATE_COMPLETE

static void pull_prints_dockers_lines(UNUSED void **state)
{
	CLEANUP(pull_view_free) struct pull_view v;
	struct reference ref;

	start(&v, &ref, "127.0.0.1:5555/g/app:v2");
	layer(&v, LAYER_1, EXISTS, 100);
	layer(&v, LAYER_2, WAITING, 0);
	layer(&v, LAYER_2, DOWNLOADING, 10);
	layer(&v, LAYER_2, DOWNLOADING, 90);
	layer(&v, LAYER_2, VERIFYING, 100);
	layer(&v, LAYER_2, COMPLETE, 100);
	finish(&v, false, "");
	assert_string_equal(
		buf_text(&screen),
		"v2: Pulling from g/app\ne512182a2e22: Already exists\n706cfd2eb816: Pulling fs layer\n"
		"706cfd2eb816: Verifying Checksum\n706cfd2eb816: Download complete\n706cfd2eb816: Pull complete\n"
		"Digest: " DIGEST_B "\nStatus: Downloaded newer image for 127.0.0.1:5555/g/app:v2\n"
		"127.0.0.1:5555/g/app:v2\n");
}

static void pull_says_nothing_of_layers_when_up_to_date(UNUSED void **state)
{
	CLEANUP(pull_view_free) struct pull_view v;
	struct reference ref;

	start(&v, &ref, "ubuntu");
	layer(&v, LAYER_1, EXISTS, 100);
	finish(&v, true, "");
	assert_string_equal(buf_text(&screen), "latest: Pulling from library/ubuntu\nDigest: " DIGEST_B
					       "\nStatus: Image is up to date for ubuntu:latest\n"
					       "docker.io/library/ubuntu:latest\n");
}

static void pull_by_digest_shows_the_digest_and_warns(UNUSED void **state)
{
	CLEANUP(pull_view_free) struct pull_view v;
	struct reference ref;

	start(&v, &ref, "r:5/a:tag@" DIGEST_B);
	finish(&v, false, "be careful");
	assert_string_equal(buf_text(&screen), "r:5/a@" DIGEST_B ": Pulling from a\nDigest: " DIGEST_B
					       "\nStatus: Downloaded newer image for r:5/a@" DIGEST_B
					       "\nWARNING: be careful\nr:5/a:tag@" DIGEST_B "\n");
}

static void pull_quietly_prints_the_reference_only(UNUSED void **state)
{
	CLEANUP(pull_view_free) struct pull_view v;
	struct reference ref;

	start(&v, &ref, "ubuntu:22.04");
	v.quiet = true;
	layer(&v, LAYER_1, DOWNLOADING, 50);
	finish(&v, false, "");
	assert_string_equal(buf_text(&screen), "docker.io/library/ubuntu:22.04\n");
}

static int tear_down(UNUSED void **state)
{
	buf_free(&screen);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(images_show_a_row_for_each_tag),
		cmocka_unit_test(images_show_what_has_no_tag),
		cmocka_unit_test(images_speak_json_and_raw),
		cmocka_unit_test(history_shows_steps_as_docker_does),
		cmocka_unit_test(inspect_prints_dockers_json),
		cmocka_unit_test(inspect_tries_the_struct_and_then_the_json),
		cmocka_unit_test(inspect_prints_one_newline_for_nothing),
		cmocka_unit_test(inspect_keeps_missing_keys_errors_once_it_needed_the_json),
		cmocka_unit_test(platform_must_be_the_images),
		cmocka_unit_test(disk_usage_has_dockers_four_rows),
		cmocka_unit_test(disk_usage_lists_images),
		cmocka_unit_test(progress_bars_agree_with_docker),
		cmocka_unit_test(progress_rewrites_lines_on_a_terminal),
		cmocka_unit_test(pull_prints_dockers_lines),
		cmocka_unit_test(pull_says_nothing_of_layers_when_up_to_date),
		cmocka_unit_test(pull_by_digest_shows_the_digest_and_warns),
		cmocka_unit_test(pull_quietly_prints_the_reference_only),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}
