/*
 * Layers that a save gives out plain, inflated in the sandboxed worker (DESIGN.md 6).
 */
#ifndef SERVICE_IMAGE_SAVE_INFLATE_H
#define SERVICE_IMAGE_SAVE_INFLATE_H

#include "service/layer/archive.h"
#include "store/archive/save.h"

struct save_workers {
	const char *program; /* imaged-layer */
	struct cancel *cancel;
};

/* It borrows `workers`. One thread. */
struct save_inflater save_inflater_of(struct save_workers *workers);

#endif
