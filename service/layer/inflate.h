/*
 * From the bytes of a layer blob to its tar stream: gzip (ISA-L), zstd (libzstd) or
 * plain, in pieces of any length; and for archives from outside, never for layers,
 * also xz (liblzma) and bzip2 (libbz2).
 *
 * What a blob is is told by its first bytes, as docker does it; the media type is
 * a hint that real registries get wrong. gzip: any number of members, each with
 * its CRC and length checked; zero bytes after the last one are padding, anything
 * else is refused. zstd: any number of frames, skippable ones too, checksums
 * verified, window bounded. xz: any number of streams, zero bytes in fours between
 * and after them, checks verified, memory bounded. bzip2: any number of streams,
 * checksums verified, nothing after them.
 *
 * One thread. Memory: about 100 KiB for gzip; for zstd the window that the frame
 * asks for, up to the limit; xz up to INFLATE_XZ_MEMORY; bzip2 4 MiB.
 */
#ifndef SERVICE_LAYER_INFLATE_H
#define SERVICE_LAYER_INFLATE_H

#include "service/layer/magic.h"
#include "service/layer/protocol.h"

enum { INFLATE_XZ_MEMORY = 128 * 1024 * 1024 };

/* The format of a layer that begins with these bytes (the first INFLATE_MAGIC, or
 * all there are). E_UNSUPPORTED for bzip2 and xz. */
int inflate_sniff(struct bytes start, enum inflate_format *ret_format, struct err *err);

struct inflate_in {
	const uint8_t *next;
	size_t left;
};

struct inflate_out {
	uint8_t *next;
	size_t left;
};

struct inflate_gzip;
struct inflate_zstd;
struct inflate_xz;
struct inflate_bzip2;

struct inflate {
	enum inflate_format format;
	const char *noun; /* what messages call the stream: "layer" until somebody sets it */
	struct inflate_gzip *gzip;
	struct inflate_zstd *zstd;
	struct inflate_xz *xz;
	struct inflate_bzip2 *bzip2;
};

/* zstd_window: in bytes; a frame that needs a larger one is E_LIMIT. On failure
 * there is nothing to free. */
int inflate_init(struct inflate *z, enum inflate_format format, uint64_t zstd_window, struct err *err);
void inflate_free(struct inflate *z); /* also the cleanup function; fine on zeros */

/* Goes on until the input is used up or the output is full; in and out move along.
 * While the output comes back full there may be more without further input.
 * E_BAD_CONTENT: the stream is damaged. */
int inflate_step(struct inflate *z, struct inflate_in *in, struct inflate_out *out, struct err *err);

/* E_LIMIT: of `read` bytes of input have come more than they may. */
int inflate_check(const struct inflate *z, const struct layer_limits *limits, uint64_t read, uint64_t written,
		  struct err *err);

/* The input has ended: E_BAD_CONTENT "layer is truncated" within a stream. */
int inflate_finish(const struct inflate *z, struct err *err);

/* ---- the decoders, used by inflate.c only; their messages go after the noun ----- */

struct inflate_gzip *inflate_gzip_new(void); /* NULL: out of memory */
void inflate_gzip_free(struct inflate_gzip *z);
int inflate_gzip_step(struct inflate_gzip *z, struct inflate_in *in, struct inflate_out *out, struct err *err);
bool inflate_gzip_ended(const struct inflate_gzip *z);

struct inflate_zstd *inflate_zstd_new(uint64_t window);
void inflate_zstd_free(struct inflate_zstd *z);
int inflate_zstd_step(struct inflate_zstd *z, struct inflate_in *in, struct inflate_out *out, struct err *err);
bool inflate_zstd_ended(const struct inflate_zstd *z);

struct inflate_xz *inflate_xz_new(void);
void inflate_xz_free(struct inflate_xz *z);
int inflate_xz_step(struct inflate_xz *z, struct inflate_in *in, struct inflate_out *out, struct err *err);
bool inflate_xz_ended(struct inflate_xz *z);

struct inflate_bzip2 *inflate_bzip2_new(void);
void inflate_bzip2_free(struct inflate_bzip2 *z);
int inflate_bzip2_step(struct inflate_bzip2 *z, struct inflate_in *in, struct inflate_out *out, struct err *err);
bool inflate_bzip2_ended(const struct inflate_bzip2 *z);

#endif
