#include "client/cli/format/units.h"

#include <inttypes.h>

#include "client/cli/format/width.h"

char *size_text(double bytes, int digits, char out[SIZE_TEXT_MAX])
{
	static const char *const names[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB" };
	size_t i = 0;

	while (bytes >= 1000 && i < ARRAY_LEN(names) - 1) {
		bytes /= 1000;
		i++;
	}
	snprintf(out, SIZE_TEXT_MAX, "%.*g%s", digits, bytes, names[i]);
	return out;
}

static const char *fixed_age(int64_t seconds, int64_t minutes, int64_t hours)
{
	if (seconds < 1)
		return "Less than a second";
	if (seconds == 1)
		return "1 second";
	if (minutes == 1)
		return "About a minute";
	return minutes >= 60 && hours == 1 ? "About an hour" : NULL;
}

char *age_text(int64_t nanos, char out[AGE_TEXT_MAX])
{
	int64_t seconds = nanos / 1000000000, minutes = seconds / 60;
	int64_t hours = (nanos / 1000000000 + 1800) / 3600; /* rounded */
	const char *fixed = fixed_age(seconds, minutes, hours);

	if (fixed)
		snprintf(out, AGE_TEXT_MAX, "%s", fixed);
	else if (seconds < 60)
		snprintf(out, AGE_TEXT_MAX, "%" PRId64 " seconds", seconds);
	else if (minutes < 60)
		snprintf(out, AGE_TEXT_MAX, "%" PRId64 " minutes", minutes);
	else if (hours < 48)
		snprintf(out, AGE_TEXT_MAX, "%" PRId64 " hours", hours);
	else if (hours < 24 * 7 * 2)
		snprintf(out, AGE_TEXT_MAX, "%" PRId64 " days", hours / 24);
	else if (hours < 24 * 30 * 2)
		snprintf(out, AGE_TEXT_MAX, "%" PRId64 " weeks", hours / 24 / 7);
	else if (hours < 24 * 365 * 2)
		snprintf(out, AGE_TEXT_MAX, "%" PRId64 " months", hours / 24 / 30);
	else /* whole hours here, not rounded ones: go-units' quirk */
		snprintf(out, AGE_TEXT_MAX, "%" PRId64 " years", seconds / 3600 / 24 / 365);
	return out;
}

char *age_since(int64_t seconds, int64_t now_ns, char out[AGE_TEXT_MAX])
{
	int64_t created, age;

	/* Go's durations end at 292 years. */
	if (__builtin_mul_overflow(seconds, INT64_C(1000000000), &created))
		created = seconds < 0 ? INT64_MIN : INT64_MAX;
	if (__builtin_sub_overflow(now_ns, created, &age))
		age = seconds < 0 ? INT64_MAX : INT64_MIN;
	age_text(age, out);
	strncat(out, " ago", AGE_TEXT_MAX - strlen(out) - 1);
	return out;
}

static bool is_ascii(struct text t)
{
	for (size_t i = 0; i < t.len; i++)
		if ((unsigned char)t.data[i] >= 0x80)
			return false;
	return true;
}

/* Bytes of the longest prefix of at most `width` cells. */
static size_t prefix_of_width(struct text t, int width)
{
	size_t at = 0;
	int used = 0;

	while (at < t.len) {
		uint32_t rune;
		size_t len = rune_decode(t.data + at, t.len - at, &rune);

		used += rune_is_wide(rune) ? 2 : 1;
		if (used > width)
			break;
		at += len;
	}
	return at;
}

bool ellipsis(struct buf *out, struct text t, int width)
{
	uint32_t rune;
	size_t keep;

	if (width <= 0 || !t.len)
		return true;
	if (width == 1)
		return buf_append(out, t.data, rune_decode(t.data, t.len, &rune));
	if (is_ascii(t)) {
		if (t.len <= (size_t)width)
			return buf_append(out, t.data, t.len);
		return buf_append(out, t.data, (size_t)width - 1) && buf_puts(out, "…");
	}
	keep = prefix_of_width(t, width);
	if (keep == t.len)
		return buf_append(out, t.data, t.len);
	keep = prefix_of_width(t, width - 1);
	if (!keep) /* docker's quirk: nothing fits, nothing is cut */
		return buf_append(out, t.data, t.len);
	return buf_append(out, t.data, keep) && buf_puts(out, "…");
}

struct text short_id(const char *id)
{
	const char *colon = strchr(id, ':');
	struct text t = text_of(colon ? colon + 1 : id);

	if (t.len > 12)
		t.len = 12;
	return t;
}
