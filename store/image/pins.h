/*
 * Pins: what keeps an image unless its removal is forced. By rules, which name images by a
 * reference, by a glob of names or by a label of the configuration; or by hand (image_pin()).
 *
 * A reference stands for the one name that it is short for ("busybox" for
 * docker.io/library/busybox:latest). In a glob `*` stands for any characters and `?` for any
 * one, slashes too; it is compared with names in full and as users see them. Time: bounded by
 * the product of the lengths.
 *
 * Constant once they are made, so any thread may ask.
 */
#ifndef STORE_IMAGE_PINS_H
#define STORE_IMAGE_PINS_H

#include "store/image/image.h"

struct pins;

struct pin_options {
	char *const *names; /* references and globs */
	size_t n_names;
	char *const *labels; /* KEY or KEY=VALUE */
	size_t n_labels;
	const char *sandbox_image; /* a reference; NULL: none */
};

/* E_INVALID_REFERENCE, E_INVALID: names the flag and what is wrong. Copies the texts. */
int pins_new(const struct pin_options *options, struct pins **ret_pins, struct err *err);
void pins_free(struct pins *p);
void pins_freep(struct pins **p);

/* From now on what pins images of the store; it stays the caller's, and outlives the store. Before
 * others use the store. */
void store_set_pins(struct store *s, const struct pins *p);

/* The rule that names it, as "--pin busybox:*"; NULL: none does. Pins may be NULL. Owned by the pins. */
const char *pins_match_name(const struct pins *p, const char *name);
const char *pins_match(const struct pins *p, char *const *names, size_t n_names,
		       const Imaged__Store__V1__ImageRecord *record);

#endif
