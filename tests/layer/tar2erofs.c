/*
 * tar2erofs [--limit NAME=N]... TAR IMAGE
 * tar2erofs --check IMAGE
 *
 * Turns a plain tar ("-": standard input) into an EROFS image, in this process, and checks
 * it as the daemon does before a mount; or only checks one. Says on one line of JSON what
 * came of it. Exit status 0, or 1 with {"code": ..., "text": ...}.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/resource.h>

#include "service/layer/erofs/check.h"
#include "service/layer/erofs/writer.h"

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

int main(int argc, char **argv)
{
	struct erofs_limits limits = erofs_limits_default();
	struct erofs_result result;
	struct err err = ERR_INIT;
	int at = 1, in, out;

	if (argc == 3 && !strcmp(argv[1], "--check"))
		return check_only(argv[2]);
	for (; at + 1 < argc && !strcmp(argv[at], "--limit"); at += 2)
		if (!set_limit(&limits, argv[at + 1]))
			return EXIT_USAGE;
	if (argc - at != 2)
		return EXIT_USAGE;
	in = strcmp(argv[at], "-") ? open(argv[at], O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	out = open(argv[at + 1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (in < 0 || out < 0) {
		fail_errno(&err, "open '%s' or '%s'", argv[at], argv[at + 1]);
		return say_failed(&err);
	}
	return convert(in, out, &limits, &result, &err) == OK ? say_result(&result) : say_failed(&err);
}
