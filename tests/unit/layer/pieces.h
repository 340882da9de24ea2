/*
 * Compressed bytes through struct inflate, cut into pieces in many ways.
 */
#ifndef TESTS_UNIT_LAYER_PIECES_H
#define TESTS_UNIT_LAYER_PIECES_H

#include "service/layer/inflate.h"
#include "tests/unit/layer/craft.h"

enum { WINDOW = 1 << 20 };

enum blob_kind { LAYER, ARCHIVE }; /* what it is decides which formats there are */

/* As much as tells the format. */
struct bytes start_of(struct bytes data);

/* Decodes in pieces of `piece` input and `room` output bytes. */
int inflate_in_pieces(enum blob_kind kind, struct bytes data, size_t piece, size_t room, struct buf *out,
		      struct err *err);

/* However it is cut, it comes out as `wanted`, or fails so. */
void assert_inflates(enum blob_kind kind, struct bytes data, struct bytes wanted);
void assert_refused(enum blob_kind kind, struct bytes data, int code, const char *text);

#endif
