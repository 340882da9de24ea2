/*
 * Secrets: passwords, tokens and what is made of them.
 *
 * They are wiped by their destructor and have no printer: nothing here, and
 * nothing that takes a `struct secret`, puts one into a message.
 */
#ifndef SERVICE_REGISTRY_SECRET_H
#define SERVICE_REGISTRY_SECRET_H

#include "proto/runtime/buf.h"

struct secret {
	char *text; /* NULL: none */
};

/* A copy; NULL and "" leave none. False without memory. */
bool secret_set(struct secret *s, const char *text);
bool secret_set_bytes(struct secret *s, struct bytes text);
/* Takes what a buffer holds; the buffer is empty afterwards. */
bool secret_take_buf(struct secret *s, struct buf *b);
bool secret_copy(struct secret *to, const struct secret *from);
void secret_wipe(struct secret *s); /* also the cleanup function */

static inline bool secret_is_set(const struct secret *s)
{
	return s->text != NULL;
}

bool secret_eq(const struct secret *a, const struct secret *b);

/* Wipes and frees a buffer that held a secret; also a cleanup function. */
void buf_wipe(struct buf *b);

/* "Basic " + base64(user:password). */
bool secret_basic(struct secret *s, const char *user, const char *password);

#endif
