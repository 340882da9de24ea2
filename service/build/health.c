/* HEALTHCHECK: its flags, and NONE or a command. */
#include <limits.h>
#include <strings.h>

#include "service/build/duration.h"
#include "service/build/instruction.h"

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

enum { N_INTERVALS = 4, RETRIES = N_INTERVALS, N_FLAGS };

static const char *const names[N_FLAGS] = { "interval", "timeout", "start-period", "start-interval", "retries" };

/* Which of them `flag` is, and its value; a negative code. */
static int find_flag(const char *flag, const char **ret_value, struct err *err)
{
	size_t len = strcspn(flag, "=");

	for (int i = 0; i < N_FLAGS; i++) {
		if (strlen(names[i]) != len || memcmp(names[i], flag, len) != 0)
			continue;
		if (!flag[len])
			return fail(err, E_INVALID, "missing a value on flag: %s", names[i]);
		*ret_value = flag + len + 1;
		return i;
	}
	return fail(err, E_INVALID, "unknown flag: --%.*s", (int)(len < 64 ? len : 64), flag);
}

static int parse_flags(const struct arguments *g, struct healthcheck *h, struct err *err)
{
	int64_t *const intervals[N_INTERVALS] = { &h->interval, &h->timeout, &h->start_period, &h->start_interval };
	bool used[N_FLAGS] = { false };

	for (size_t i = 0; i < g->flags.n; i++) {
		const char *value = "";
		int which = find_flag(g->flags.items[i] + 2, &value, err);
		int r;

		if (which < 0)
			return which;
		if (used[which])
			return fail(err, E_INVALID, "duplicate flag specified: %s", names[which]);
		used[which] = true;
		r = which == RETRIES ? set_retries(value, h, err)
				     : set_interval(names[which], value, intervals[which], err);
		if (r != OK)
			return r;
	}
	return OK;
}

/* The kind of test in front of the command's words. */
static int set_test(const struct arguments *g, const char *kind, const struct string_list *words, struct healthcheck *h,
		    struct err *err)
{
	h->test.items = arena_array(g->arena, words->n + 1, sizeof *h->test.items);
	if (!h->test.items)
		return fail_nomem(err);
	h->test.items[0] = arena_string(g->arena, kind);
	if (!h->test.items[0])
		return fail_nomem(err);
	if (words->n)
		memcpy(h->test.items + 1, words->items, words->n * sizeof *words->items);
	h->test.n = words->n + 1;
	h->test.present = h->present = true;
	return OK;
}

static int parse_command(const struct arguments *g, const char *text, struct healthcheck *h, struct err *err)
{
	struct string_list words;
	bool for_shell = false;
	int r = parse_flags(g, h, err);

	if (r == OK)
		r = arguments_command(g, text, &words, &for_shell, err);
	if (r != OK)
		return r;
	if (!words.n)
		return fail(err, E_INVALID, "Missing command after HEALTHCHECK CMD");
	return set_test(g, for_shell ? "CMD-SHELL" : "CMD", &words, h, err);
}

int healthcheck_parse(const struct arguments *g, struct healthcheck *ret_health, struct err *err)
{
	static const struct string_list nothing;
	struct bytes kind = instruction_keyword(g->text);
	const char *rest = (const char *)kind.data + kind.len;
	struct healthcheck h = { .present = false };
	int r;

	while (is_blank(*rest))
		rest++;
	if (kind.len == 4 && !strncasecmp(g->text, "NONE", 4))
		r = *rest ? fail(err, E_INVALID, "HEALTHCHECK NONE takes no arguments")
			  : set_test(g, "NONE", &nothing, &h, err);
	else if (kind.len == 3 && !strncasecmp(g->text, "CMD", 3))
		r = parse_command(g, rest, &h, err);
	else
		r = fail(err, E_INVALID, "Unknown type \"%.*s\" in HEALTHCHECK (try CMD)",
			 (int)(kind.len < 64 ? kind.len : 64), g->text);
	if (r == OK)
		*ret_health = h;
	return r;
}
