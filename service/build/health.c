/* HEALTHCHECK: its flags, and NONE or a command. */
#include <limits.h>
#include <strings.h>

#include "service/build/duration.h"
#include "service/build/instruction.h"
#include "service/build/quote.h"

enum { SHORTEST_NS = 1000 * 1000 };

static bool parse_int(const char *text, int32_t *ret_number)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || is_blank(*text) || n < INT32_MIN || n > INT32_MAX)
		return false;
	*ret_number = (int32_t)n;
	return true;
}

static int set_retries(const char *value, struct healthcheck *h, struct err *err)
{
	int32_t retries;

	if (!*value)
		return OK;
	if (!parse_int(value, &retries))
		return fail(err, E_INVALID, "strconv.ParseInt: parsing \"%.64s\": invalid syntax", value);
	if (retries < 0)
		return fail(err, E_INVALID, "--retries cannot be negative (%d)", (int)retries);
	h->retries = retries;
	return OK;
}

static int set_interval(const char *name, const char *value, int64_t *interval, struct err *err)
{
	int r;

	if (!*value)
		return OK;
	r = duration_parse(value, interval, err);
	if (r == OK && *interval && *interval < SHORTEST_NS)
		return fail(err, E_INVALID, "Interval \"%s\" cannot be less than 1ms", name);
	return r;
}

enum { INTERVAL, RETRIES, START_INTERVAL, START_PERIOD, TIMEOUT, N_FLAGS };

static const struct flag_spec specs[N_FLAGS] = {
	[INTERVAL] = { "interval", FLAG_TEXT },
	[RETRIES] = { "retries", FLAG_TEXT },
	[START_INTERVAL] = { "start-interval", FLAG_TEXT },
	[START_PERIOD] = { "start-period", FLAG_TEXT },
	[TIMEOUT] = { "timeout", FLAG_TEXT },
};

static int set_options(const struct flag_value *v, struct healthcheck *h, struct err *err)
{
	static const int order[] = { INTERVAL, TIMEOUT, START_PERIOD, START_INTERVAL };
	int64_t *const intervals[] = { &h->interval, &h->timeout, &h->start_period, &h->start_interval };
	int r = OK;

	for (size_t i = 0; r == OK && i < ARRAY_LEN(order); i++)
		r = set_interval(specs[order[i]].name, v[order[i]].text, intervals[i], err);
	return r == OK ? set_retries(v[RETRIES].text, h, err) : r;
}

/* The kind of test in front of the command's words. */
static int set_test(const struct arguments *g, const char *kind, struct err *err)
{
	struct healthcheck *h = &g->to->health;
	int r = arguments_words(g, 0, 0, &h->test, err);

	if (r != OK)
		return r;
	h->test.items[0] = arena_string(g->arena, kind);
	h->test.present = h->present = true;
	return h->test.items[0] ? OK : fail_nomem(err);
}

static int parse_command(const struct arguments *g, struct err *err)
{
	struct flag_value v[N_FLAGS];
	int r = flags_parse(&g->node->flags, specs, N_FLAGS, v, g->arena, err);

	if (r != OK)
		return r;
	if (g->node->words.n < 2)
		return fail(err, E_INVALID, "Missing command after HEALTHCHECK CMD");
	r = set_test(g, g->node->json ? "CMD" : "CMD-SHELL", err);
	return r == OK ? set_options(v, &g->to->health, err) : r;
}

static int unknown_kind(const struct arguments *g, struct err *err)
{
	struct flag_value v[N_FLAGS];
	struct quoted quoted;
	char *kind = arena_bytes(g->arena, g->node->words.items[0]);

	if (!kind)
		return fail_nomem(err);
	for (char *c = kind; *c; c++)
		*c = *c >= 'a' && *c <= 'z' ? (char)(*c - 0x20) : *c;
	if (flags_parse(&g->node->flags, specs, N_FLAGS, v, g->arena, err) < 0)
		return err->code;
	return fail(err, E_INVALID, "Unknown type %s in HEALTHCHECK (try CMD)", quote_short(kind, &quoted));
}

int health_parse(const struct arguments *g, struct err *err)
{
	const struct word_list *words = &g->node->words;

	if (!words->n)
		return fail(err, E_INVALID, "HEALTHCHECK requires at least one argument");
	if (bytes_are_nocase(words->items[0], "CMD"))
		return parse_command(g, err);
	if (!bytes_are_nocase(words->items[0], "NONE"))
		return unknown_kind(g, err);
	if (words->n > 1)
		return fail(err, E_INVALID, "HEALTHCHECK NONE takes no arguments");
	return set_test(g, "NONE", err);
}
