/*
 * What the registry's tests share: a registry client with a clock, chance and sleep
 * of ours, and short ways to say things.
 */
#ifndef TESTS_UNIT_REGISTRY_RIG_H
#define TESTS_UNIT_REGISTRY_RIG_H

#include <pthread.h>

#include "service/registry/registry.h"
#include "tests/unit/registry/fake.h"
#include "tests/unit/types/unit.h"

enum { SLEEPS_MAX = 32 };

struct rig {
	struct registry *registry;
	struct retry_env env;
	pthread_mutex_t mu;
	int64_t now;		    /* mu: wall clock, s; sleeping moves it on */
	int64_t sleeps[SLEEPS_MAX]; /* mu: ms */
	unsigned n_sleeps;	    /* mu */
};

struct rig *rig_new(void);
/* Fields of `base` that are 0 are filled in: short timeouts, the clock. */
struct rig *rig_with(struct registry_options base);
void rig_free(struct rig *r);
void rig_advance(struct rig *r, int64_t seconds);
unsigned rig_sleeps(struct rig *r);
int64_t rig_sleep_ms(struct rig *r, unsigned i);

/* "AUTHORITY/NAME" parsed; the test fails when it is not a reference. */
struct reference ref_of(const char *authority, const char *name);
struct repository *open_repository(struct rig *r, const char *authority, const char *name,
				   const struct credentials *credentials);

struct descriptor descriptor_of(const void *data, size_t len);

/* "sha256:…" of the bytes; a static buffer per thread. */
const char *digest_text_of(const void *data, size_t len);

/* Sets up the test's folder and store in a temporary directory. */
struct store *temporary_store(char folder[64]);
void remove_folder(const char *folder);

#endif
