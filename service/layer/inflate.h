/*
 * From the bytes of a layer blob to its tar stream: gzip (ISA-L), zstd (libzstd) or
 * plain, in pieces of any length.
 *
 * What a blob is is told by its first bytes, as docker does it; the media type is
 * a hint that real registries get wrong. gzip: any number of members, each with
 * its CRC and length checked; zero bytes after the last one are padding, anything
 * else is refused. zstd: any number of frames, skippable ones too, checksums
 * verified, window bounded.
 *
 * One thread. Memory: about 100 KiB for gzip; for zstd the window that the frame
 * asks for, up to the limit.
 */
#ifndef SERVICE_LAYER_INFLATE_H
#define SERVICE_LAYER_INFLATE_H

#include <stdbool.h>

#include "proto/runtime/mem.h"

enum inflate_format { INFLATE_PLAIN, INFLATE_GZIP, INFLATE_ZSTD };

enum { INFLATE_MAGIC = 6 }; /* bytes that tell the format */

/* The format of a stream that begins with these bytes (the first INFLATE_MAGIC, or
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

struct inflate {
	enum inflate_format format;
	struct inflate_gzip *gzip;
	struct inflate_zstd *zstd;
};

/* zstd_window: in bytes; a frame that needs a larger one is E_LIMIT. On failure
 * there is nothing to free. */
int inflate_init(struct inflate *z, enum inflate_format format, uint64_t zstd_window, struct err *err);
void inflate_free(struct inflate *z); /* also the cleanup function; fine on zeros */

/* Goes on until the input is used up or the output is full; in and out move along.
 * While the output comes back full there may be more without further input.
 * E_BAD_CONTENT: the stream is damaged. */
int inflate_step(struct inflate *z, struct inflate_in *in, struct inflate_out *out, struct err *err);

/* The input has ended: E_BAD_CONTENT "layer is truncated" within a stream. */
int inflate_finish(const struct inflate *z, struct err *err);

/* ---- the two decoders, used by inflate.c only -------------------------------- */

struct inflate_gzip *inflate_gzip_new(void); /* NULL: out of memory */
void inflate_gzip_free(struct inflate_gzip *z);
int inflate_gzip_step(struct inflate_gzip *z, struct inflate_in *in, struct inflate_out *out, struct err *err);
bool inflate_gzip_ended(const struct inflate_gzip *z);

struct inflate_zstd *inflate_zstd_new(uint64_t window);
void inflate_zstd_free(struct inflate_zstd *z);
int inflate_zstd_step(struct inflate_zstd *z, struct inflate_in *in, struct inflate_out *out, struct err *err);
bool inflate_zstd_ended(const struct inflate_zstd *z);

#endif
