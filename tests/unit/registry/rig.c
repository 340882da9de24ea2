#include "tests/unit/registry/rig.h"

#include <ftw.h>

static int64_t rig_wall(void *arg)
{
	struct rig *r = arg;
	int64_t now;

	pthread_mutex_lock(&r->mu);
	now = r->now;
	pthread_mutex_unlock(&r->mu);
	return now;
}

static uint32_t rig_chance(void *arg)
{
	(void)arg;
	return UINT32_MAX;
}

static bool rig_sleep(void *arg, struct cancel *cancel, int64_t ms)
{
	struct rig *r = arg;

	pthread_mutex_lock(&r->mu);
	if (r->n_sleeps < SLEEPS_MAX)
		r->sleeps[r->n_sleeps++] = ms;
	r->now += ms / 1000;
	pthread_mutex_unlock(&r->mu);
	return !cancel_fired(cancel);
}

struct rig *rig_with(struct registry_options o)
{
	struct rig *r = calloc(1, sizeof *r);
	struct err err = ERR_INIT;

	r->now = 1800000000;
	pthread_mutex_init(&r->mu, NULL);
	r->env = (struct retry_env){ rig_wall, rig_chance, rig_sleep, r };
	o.env = &r->env;
	if (!o.http.connect_timeout_ms)
		o.http.connect_timeout_ms = 5000;
	if (!o.http.header_timeout_ms)
		o.http.header_timeout_ms = 5000;
	if (!o.http.stall_timeout_ms)
		o.http.stall_timeout_ms = 5000;
	assert_ok(registry_new(&o, &r->registry, &err), &err);
	return r;
}

struct rig *rig_new(void)
{
	return rig_with((struct registry_options){ 0 });
}

void rig_free(struct rig *r)
{
	registry_free(r->registry);
	pthread_mutex_destroy(&r->mu);
	free(r);
}

void rig_advance(struct rig *r, int64_t seconds)
{
	pthread_mutex_lock(&r->mu);
	r->now += seconds;
	pthread_mutex_unlock(&r->mu);
}

unsigned rig_sleeps(struct rig *r)
{
	unsigned n;

	pthread_mutex_lock(&r->mu);
	n = r->n_sleeps;
	pthread_mutex_unlock(&r->mu);
	return n;
}

int64_t rig_sleep_ms(struct rig *r, unsigned i)
{
	int64_t ms;

	assert_in_range(i, 0, SLEEPS_MAX - 1);
	pthread_mutex_lock(&r->mu);
	ms = r->sleeps[i];
	pthread_mutex_unlock(&r->mu);
	return ms;
}

struct reference ref_of(const char *authority, const char *name)
{
	struct reference ref = { 0 };
	struct err err = ERR_INIT;
	char text[REFERENCE_TEXT_MAX + 64];

	snprintf(text, sizeof text, "%s/%s", authority, name);
	assert_ok(reference_parse(text, &ref, &err), &err);
	return ref;
}

struct repository *open_repository(struct rig *r, const char *authority, const char *name,
				   const struct credentials *credentials)
{
	struct reference ref = ref_of(authority, name);
	struct repository *repository = NULL;
	struct err err = ERR_INIT;

	assert_ok(repository_open(r->registry, &ref, credentials, &repository, &err), &err);
	return repository;
}

struct descriptor descriptor_of(const void *data, size_t len)
{
	static char type[] = "application/octet-stream";
	struct descriptor d = { .media_type = type, .size = (int64_t)len };

	digest_of(DIGEST_SHA256, (struct bytes){ data, len }, &d.digest);
	return d;
}

const char *digest_text_of(const void *data, size_t len)
{
	static _Thread_local char text[DIGEST_TEXT_MAX];
	struct descriptor d = descriptor_of(data, len);

	return digest_text(&d.digest, text);
}

struct store *temporary_store(char folder[64])
{
	struct store *s = NULL;
	struct err err = ERR_INIT;

	snprintf(folder, 64, "/tmp/registry-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_ok(store_open(folder, &s, &err), &err);
	return s;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void remove_folder(const char *folder)
{
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
