/*
 * Printing values as Go's package fmt does: Sprint, Sprintln, Sprintf with all
 * verbs, flags, widths, precisions and argument indexes, and fmt's own way of
 * reporting a wrong format inside the output ("%!d(string=x)").
 * Everything is appended to a buffer; a full buffer shows in buf_ok().
 */
#ifndef CLIENT_CLI_VALUE_PRINT_H
#define CLIENT_CLI_VALUE_PRINT_H

#include "client/cli/value/value.h"

void print_value(struct buf *out, struct value v);			   /* %v */
void print_values(struct buf *out, const struct value *args, size_t n);	   /* Sprint */
void print_values_ln(struct buf *out, const struct value *args, size_t n); /* Sprintln */
void print_format(struct buf *out, struct text format, const struct value *args, size_t n);

/* strconv.Quote. */
void print_quoted(struct buf *out, struct text t);
/* The fewest digits that give the number back, as %v prints it. */
void print_float(struct buf *out, double d);

#endif
