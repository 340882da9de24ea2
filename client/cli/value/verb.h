/* Between the files of value/print*: one value under one verb. */
#ifndef CLIENT_CLI_VALUE_VERB_H
#define CLIENT_CLI_VALUE_VERB_H

#include "client/cli/value/print.h"

/* What stands between '%' and the verb. */
struct verb_flags {
	bool plus, minus, sharp, space, zero;
	bool has_width, has_precision;
	int width, precision; /* >= 0 */
};

/* Of a width or precision, as fmt: it refuses the digit behind a number larger than this. */
enum { VERB_NUMBER_MAX = 1000000, VERB_DIGITS_MAX = 10 * VERB_NUMBER_MAX + 9 };

/* Prints v under the verb, wrong combinations included. depth > 0: part of another value. */
void verb_print(struct buf *out, struct value v, uint32_t verb, const struct verb_flags *f, int depth);
void verb_bad(struct buf *out, struct value v, uint32_t verb, const struct verb_flags *f);

/* The leaves; false when the verb does not fit the kind. */
bool verb_integer(struct buf *out, uint64_t magnitude, bool negative, bool is_signed, uint32_t verb,
		  const struct verb_flags *f);
bool verb_float(struct buf *out, double d, uint32_t verb, const struct verb_flags *f);
bool verb_string(struct buf *out, struct text t, uint32_t verb, const struct verb_flags *f);

/* Pads to the width, counted in characters. */
void verb_pad(struct buf *out, struct text t, const struct verb_flags *f);

#endif
