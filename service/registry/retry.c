#include "service/registry/retry.h"

#include <curl/curl.h>
#include <sys/random.h>

#include "proto/runtime/clock.h"

enum { DAY_S = 24 * 60 * 60 };

/* ---- the table ------------------------------------------------------------- */

struct rule {
	unsigned attempts[2]; /* question, transfer: in all */
	int64_t first_ms, longest_ms;
};

/* clang-format off */
static const struct rule rules[RETRY_CLASSES] = {
	/*                   question transfer    first   longest */
	[RETRY_NEVER]    = { { 1,     1 },            0,        0 },
	[RETRY_CONNECT]  = { { 1,     5 },          500,  8 * 1000 },
	[RETRY_BROKEN]   = { { 3,     5 },          200,  8 * 1000 },
	[RETRY_SERVER]   = { { 4,     5 },          500, 10 * 1000 },
	[RETRY_THROTTLE] = { { 4,     5 },         1000, 60 * 1000 },
};

static const struct { int status; enum retry_class class; } statuses[] = {
	{ 408, RETRY_SERVER }, { 429, RETRY_THROTTLE }, { 500, RETRY_SERVER },
	{ 502, RETRY_SERVER }, { 503, RETRY_SERVER },   { 504, RETRY_SERVER },
};
/* clang-format on */

enum retry_class retry_class_of_status(int status)
{
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
		if (statuses[i].status == status)
			return statuses[i].class;
	return RETRY_NEVER;
}

enum retry_class retry_class_of_failure(enum http_failure failed)
{
	switch (failed) {
	case HTTP_FAILED_RESOLVE:
	case HTTP_FAILED_CONNECT:
	case HTTP_FAILED_NOT_TLS: /* also a handshake that broke off */
		return RETRY_CONNECT;
	case HTTP_FAILED_BROKEN:
		return RETRY_BROKEN;
	default:
		return RETRY_NEVER;
	}
}

static int64_t backoff(const struct rule *rule, unsigned failures, const struct retry_env *env)
{
	int64_t full = rule->first_ms;

	for (unsigned i = 1; i < failures && full < rule->longest_ms; i++)
		full *= 2;
	if (full > rule->longest_ms)
		full = rule->longest_ms;
	return full / 2 + env->chance(env->arg) % (uint32_t)(full / 2 + 1);
}

int64_t retry_pause(struct retry *r, enum retry_class class, int64_t retry_after, const struct retry_env *env)
{
	const struct rule *rule = &rules[class];

	r->failures++;
	r->spent++;
	if (r->spent > RETRY_BUDGET || r->failures >= rule->attempts[r->purpose] || retry_after > RETRY_AFTER_MAX_MS)
		return -1;
	return retry_after > 0 ? retry_after : backoff(rule, r->failures, env);
}

void retry_progress(struct retry *r, int64_t bytes)
{
	r->failures = 0;
	r->gained += bytes;
	for (; r->gained >= RETRY_EARN_BYTES; r->gained -= RETRY_EARN_BYTES)
		r->spent -= r->spent > 0;
}

int64_t retry_after_ms(const char *value, int64_t now_s)
{
	size_t digits = value ? strspn(value, "0123456789") : 0;
	int64_t s;

	if (!value || !*value)
		return 0;
	if (!value[digits])
		s = digits > 9 ? DAY_S : strtoll(value, NULL, 10);
	else
		s = (int64_t)curl_getdate(value, NULL) - now_s;
	if (s <= 0) /* -1 from curl_getdate() too: no date */
		return 0;
	return (s > DAY_S ? DAY_S : s) * 1000;
}

/* ---- the real world -------------------------------------------------------- */

static int64_t real_wall_s(void *arg)
{
	(void)arg;
	return clock_wall_s();
}

static uint32_t real_chance(void *arg)
{
	uint32_t value = 0;

	(void)arg;
	if (getrandom(&value, sizeof value, GRND_NONBLOCK) != sizeof value)
		value = (uint32_t)clock_wall_ns(); /* jitter, not a secret */
	return value;
}

static bool real_sleep(void *arg, struct cancel *cancel, int64_t ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	(void)arg;
	if (cancel)
		return !cancel_wait(cancel, ms);
	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts) == EINTR)
		;
	return true;
}

const struct retry_env *retry_env_real(void)
{
	static const struct retry_env env = { .wall_s = real_wall_s, .chance = real_chance, .sleep = real_sleep };

	return &env;
}
