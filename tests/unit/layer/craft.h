/*
 * Makes layers for tests, sound ones and broken ones: tar headers field by field,
 * gzip members with every header flag, zstd frames. What cannot be made fails the
 * test.
 */
#ifndef TESTS_UNIT_LAYER_CRAFT_H
#define TESTS_UNIT_LAYER_CRAFT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* ours is another one */

#include "proto/runtime/buf.h"
#include "store/types/digest.h"

enum { CRAFT_MAX = 1 << 30 };

#define failed(...)                        \
	do {                               \
		print_error(__VA_ARGS__);  \
		print_error("\n");         \
		_fail(__FILE__, __LINE__); \
	} while (0)

#define assert_ok(call, e)                                  \
	do {                                                \
		if ((call) != OK)                           \
			failed("%s: %s", #call, (e)->text); \
	} while (0)

/* The call fails with this code, and its text holds `part`. */
#define assert_fails(call, e, wanted, part)                                                                            \
	do {                                                                                                           \
		int code_ = (call);                                                                                    \
		if (code_ != (wanted) || (e)->code != (wanted) || !strstr((e)->text, part))                            \
			failed("%s: %d '%s' instead of %d '%s'", #call, code_, code_ == OK ? "" : (e)->text, (wanted), \
			       part);                                                                                  \
	} while (0)

/* ---- tar --------------------------------------------------------------------- */

struct craft_entry {
	const char *name;
	char type;	    /* 0 is V7's */
	int64_t size;	    /* of the size field */
	const char *format; /* "ustar", "gnu" (default) or "v7" */
	bool base256;
	bool signed_sum;      /* header checksum of signed bytes */
	const char *prefix;   /* ustar's */
	const char *link;     /* target */
	const char *raw_size; /* 12 bytes in place of the size field */
	const char *raw_sum;  /* 8 bytes in place of the checksum */
	int64_t sparse_size;  /* type S: real size */
	bool sparse_goes_on;  /* type S */
};

void craft_header(struct buf *b, const struct craft_entry *e);
/* `len` bytes of a pattern, and padding up to a block. */
void craft_data(struct buf *b, size_t len);
void craft_text(struct buf *b, const char *text); /* and padding */
void craft_file(struct buf *b, const char *name, size_t size);
void craft_zeros(struct buf *b, size_t len);
void craft_end(struct buf *b); /* two zero blocks */

/* `files` files of `size` bytes each, ended. */
void craft_tree(struct buf *b, unsigned files, size_t size);

/* ---- compression ----------------------------------------------------------------- */

enum craft_gzip_flags {
	CRAFT_GZIP_TEXT = 1,
	CRAFT_GZIP_HCRC = 2,
	CRAFT_GZIP_EXTRA = 4,
	CRAFT_GZIP_NAME = 8,
	CRAFT_GZIP_COMMENT = 16
};

/* Appends one member. */
void craft_gzip(struct buf *out, struct bytes data, unsigned flags);
/* Appends one frame; window_log 0: as the library chooses. */
void craft_zstd(struct buf *out, struct bytes data, bool checksum, int window_log);
void craft_zstd_skippable(struct buf *out);
/* Appends one stream; `check`: a lzma_check. */
void craft_xz(struct buf *out, struct bytes data, int check);
/* The same, whose first block claims a dictionary of 4 GiB. */
void craft_xz_greedy(struct buf *out, struct bytes data);
/* Appends one stream. */
void craft_bzip2(struct buf *out, struct bytes data);

/* ---- files ------------------------------------------------------------------------- */

/* An unlinked file with these bytes, read-only. */
int craft_fd(struct bytes data);
/* The same, and *ret_writer can write to it. */
int craft_growing_fd(int *ret_writer);
/* Whether the process or thread has something to do, and is not waiting for others. */
bool is_busy(pid_t pid);
/* How many descriptors this process has open. */
int count_descriptors(void);

struct digest craft_sha256(struct bytes data);

#endif
