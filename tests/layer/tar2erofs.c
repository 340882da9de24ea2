/*
 * tar2erofs [--limit NAME=N]... TAR IMAGE
 * tar2erofs [--limit NAME=N]... --worker PROGRAM TAR IMAGE
 * tar2erofs --check IMAGE
 *
 * Turns a plain tar ("-": standard input) into an EROFS image, in this process, and checks
 * it as the daemon does before a mount; or only checks one. With --worker PROGRAM in front
 * of TAR, which may be compressed then, it goes the daemon's way through imaged-layer. Says on one line of JSON what
 * came of it. Exit status 0, or 1 with {"code": ..., "text": ...}.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/resource.h>

#include "service/layer/erofs/check.h"
#include "service/layer/erofs/writer.h"
#include "service/layer/layer.h"

enum { PIECE = 256 * 1024, EXIT_USAGE = 64 };

static bool set_limit(struct erofs_limits *l, const char *text)
{
	const char *equal = strchr(text, '=');
	uint64_t n = equal ? strtoull(equal + 1, NULL, 10) : 0;
	const struct {
		const char *name;
		uint64_t *value;
	} names[] = {
		{ "entries", &l->entries },
		{ "file", &l->file_bytes },
		{ "image", &l->image_bytes },
		{ "tree", &l->tree_bytes },
	};

	for (size_t i = 0; equal && i < ARRAY_LEN(names); i++)
		if (!strncmp(text, names[i].name, (size_t)(equal - text)) &&
		    strlen(names[i].name) == (size_t)(equal - text)) {
			*names[i].value = n;
			return true;
		}
	if (!strncmp(text, "xattr=", 6))
		l->xattr_bytes = (uint32_t)n;
	return !strncmp(text, "xattr=", 6);
}

static int feed_all(struct erofs_writer *w, int in, struct err *err)
{
	static uint8_t piece[PIECE];
	ssize_t n;
	int rc = OK;

	while (rc == OK && (n = read(in, piece, sizeof piece)) != 0)
		rc = n < 0 ? fail_errno(err, "read the tar") : erofs_writer_feed(w, piece, (size_t)n, err);
	return rc;
}

static void print_text(const char *text)
{
	for (; *text; text++)
		if (*text == '"' || *text == '\\' || *text < ' ' || *text > '~')
			printf("\\u%04x", (uint8_t)*text);
		else
			putchar(*text);
}

static int say_failed(const struct err *err)
{
	printf("{\"code\": \"%s\", \"text\": \"", err_reason(err->code));
	print_text(err->text);
	printf("\"}\n");
	return 1;
}

static int check(int fd, struct erofs_summary *summary, struct err *err)
{
	return erofs_check(fd, UINT64_MAX, NULL, summary, err);
}

static int check_only(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct erofs_summary s;
	struct err err = ERR_INIT;

	if (fd < 0)
		fail_errno(&err, "open '%s'", path);
	if (fd < 0 || check(fd, &s, &err) != OK)
		return say_failed(&err);
	printf("{\"entries\": %" PRIu64 ", \"directories\": %" PRIu64 ", \"whiteouts\": %" PRIu64
	       ", \"root_is_opaque\": %s}\n",
	       s.entries, s.directories, s.whiteouts, s.root_is_opaque ? "true" : "false");
	return 0;
}

/* What the writer made and the check does not take is a mistake of one of them. */
static int check_made(int fd, const struct erofs_result *r, struct err *err)
{
	struct erofs_summary s;
	int rc = check(fd, &s, err);

	if (rc == OK && (s.root_is_opaque != r->root_is_opaque || s.entries + 1 < r->inodes))
		return fail(err, E_INTERNAL, "the writer and the check count differently");
	return rc;
}

static int convert(int in, int out, const struct erofs_limits *limits, struct erofs_result *r, struct err *err)
{
	CLEANUP(erofs_writer_freep) struct erofs_writer *w = NULL;
	int rc = erofs_writer_new(out, limits, &w, err);

	if (rc == OK)
		rc = feed_all(w, in, err);
	if (rc == OK)
		rc = erofs_writer_finish(w, r, err);
	return rc == OK ? check_made(out, r, err) : rc;
}

static int say_result(const struct erofs_result *r)
{
	struct rusage usage = { 0 };

	getrusage(RUSAGE_SELF, &usage);
	printf("{\"image_bytes\": %" PRIu64 ", \"tar_bytes\": %" PRIu64 ", \"entries\": %" PRIu64
	       ", \"inodes\": %" PRIu64 ", \"root_is_opaque\": %s, \"max_rss_kib\": %ld}\n",
	       r->image_bytes, r->tar_bytes, r->entries, r->inodes, r->root_is_opaque ? "true" : "false",
	       usage.ru_maxrss);
	return 0;
}

/* ---- by way of the worker ----------------------------------------------------------- */

static struct layer_policy policy_of(const struct erofs_limits *l)
{
	struct layer_policy p = layer_policy_default();

	p.image_limits = (struct layer_image_limits){
		.entries = l->entries,
		.file_bytes = l->file_bytes,
		.image_bytes = l->image_bytes,
		.tree_bytes = l->tree_bytes,
		.xattr_bytes = l->xattr_bytes,
	};
	return p;
}

static int run_job(struct layer_job *j, int out, struct erofs_result *r, struct err *err)
{
	const struct layer_image_facts *image = layer_job_image(j);
	CLEANUP(closep) int accepted = -1;
	struct layer_facts facts;
	int rc = layer_job_finish(j, NULL, &facts, err);

	if (rc == OK)
		rc = layer_image_accept(out, image, NULL, &accepted, err);
	if (rc == OK)
		*r = (struct erofs_result){
			.image_bytes = (uint64_t)image->image_size,
			.tar_bytes = (uint64_t)facts.tar_size,
			.entries = (uint64_t)facts.entries,
			.inodes = (uint64_t)image->inodes,
			.root_is_opaque = image->root_is_opaque,
		};
	return rc;
}

static int convert_by_worker(const char *program, int in, int out, const struct erofs_limits *limits,
			     struct erofs_result *r, struct err *err)
{
	/* Of another algorithm than the diff ID's: nothing is taken as known. */
	const struct digest unknown = { .algorithm = DIGEST_SHA512 };
	const struct layer_policy policy = policy_of(limits);
	CLEANUP(layer_workers_unrefp) struct layer_workers *w = NULL;
	CLEANUP(layer_job_freep) struct layer_job *j = NULL;
	int rc = layer_workers_new(program, 1, &w, err);

	if (rc != OK)
		return rc;
	layer_workers_set_policy(w, &policy);
	rc = layer_job_start_whole_image(w, in, out, &unknown, lseek(in, 0, SEEK_END), &j, err);
	return rc == OK ? run_job(j, out, r, err) : rc;
}

int main(int argc, char **argv)
{
	struct erofs_limits limits = erofs_limits_default();
	struct erofs_result result;
	struct err err = ERR_INIT;
	const char *worker = NULL;
	int at = 1, in, out, rc;

	if (argc == 3 && !strcmp(argv[1], "--check"))
		return check_only(argv[2]);
	for (; at + 1 < argc && !strcmp(argv[at], "--limit"); at += 2)
		if (!set_limit(&limits, argv[at + 1]))
			return EXIT_USAGE;
	if (at + 1 < argc && !strcmp(argv[at], "--worker")) {
		worker = argv[at + 1];
		at += 2;
	}
	if (argc - at != 2)
		return EXIT_USAGE;
	in = strcmp(argv[at], "-") ? open(argv[at], O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	out = open(argv[at + 1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (in < 0 || out < 0) {
		fail_errno(&err, "open '%s' or '%s'", argv[at], argv[at + 1]);
		return say_failed(&err);
	}
	rc = worker ? convert_by_worker(worker, in, out, &limits, &result, &err)
		    : convert(in, out, &limits, &result, &err);
	return rc == OK ? say_result(&result) : say_failed(&err);
}
