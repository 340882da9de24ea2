#include "store/types/reference_grammar.h"

#include "store/types/reference.h"

enum { DIGEST_HEX_MIN = 32 };

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_lower(uint8_t c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_alpha(uint8_t c)
{
	return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool is_alnum(uint8_t c)
{
	return is_alpha(c) || is_digit(c);
}

static bool is_hex(uint8_t c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool all_of(struct bytes b, bool (*accepts)(uint8_t))
{
	for (size_t i = 0; i < b.len; i++)
		if (!accepts(b.data[i]))
			return false;
	return b.len > 0;
}

/* Cuts the part before the first `c` off b; false when b is used up. An empty
 * last part ("a/") is a part too. */
struct cutter {
	struct bytes rest;
	bool done;
};

static bool cut(struct cutter *cutter, char c, struct bytes *ret_part)
{
	struct bytes rest = cutter->rest;
	const uint8_t *p = rest.len ? memchr(rest.data, c, rest.len) : NULL;

	if (cutter->done)
		return false;
	if (!p) {
		*ret_part = rest;
		cutter->done = true;
		return true;
	}
	*ret_part = (struct bytes){ rest.data, (size_t)(p - rest.data) };
	cutter->rest = (struct bytes){ p + 1, rest.len - ret_part->len - 1 };
	return true;
}

static bool is_host_label(struct bytes b)
{
	if (!b.len || b.data[0] == '-' || b.data[b.len - 1] == '-')
		return false;
	for (size_t i = 0; i < b.len; i++)
		if (!is_alnum(b.data[i]) && b.data[i] != '-')
			return false;
	return true;
}

static bool is_host(struct bytes b)
{
	struct cutter labels = { .rest = b };
	struct bytes label;

	while (cut(&labels, '.', &label))
		if (!is_host_label(label))
			return false;
	return true;
}

static bool is_hex_or_colon(uint8_t c)
{
	return is_hex(c) || c == ':';
}

static bool is_port(struct bytes b)
{
	return b.len >= 2 && b.data[0] == ':' && all_of((struct bytes){ b.data + 1, b.len - 1 }, is_digit);
}

static bool is_ipv6_domain(struct bytes b)
{
	const uint8_t *end = memchr(b.data, ']', b.len);
	struct bytes inside, port;

	if (!end)
		return false;
	inside = (struct bytes){ b.data + 1, (size_t)(end - b.data) - 1 };
	port = (struct bytes){ end + 1, b.len - inside.len - 2 };
	return all_of(inside, is_hex_or_colon) && (!port.len || is_port(port));
}

bool grammar_domain(struct bytes b)
{
	const uint8_t *colon;

	if (!b.len)
		return false;
	if (b.data[0] == '[')
		return is_ipv6_domain(b);
	colon = memchr(b.data, ':', b.len);
	if (!colon)
		return is_host(b);
	return is_host((struct bytes){ b.data, (size_t)(colon - b.data) }) &&
	       is_port((struct bytes){ colon, b.len - (size_t)(colon - b.data) });
}

/* "." | "_" | "__" | "-"+ : the length of the separator at the start, or 0. */
static size_t separator_len(struct bytes b)
{
	size_t n = 0;

	switch (b.data[0]) {
	case '.':
		return 1;
	case '_':
		return b.len > 1 && b.data[1] == '_' ? 2 : 1;
	case '-':
		while (n < b.len && b.data[n] == '-')
			n++;
		return n;
	default:
		return 0;
	}
}

static bool is_word(uint8_t c, bool any_case)
{
	return any_case ? is_alnum(c) : is_lower(c) || is_digit(c);
}

static bool is_component(struct bytes b, bool any_case)
{
	size_t i = 0;

	for (;;) {
		if (i == b.len || !is_word(b.data[i], any_case))
			return false;
		while (i < b.len && is_word(b.data[i], any_case))
			i++;
		if (i == b.len)
			return true;
		size_t n = separator_len((struct bytes){ b.data + i, b.len - i });
		if (!n)
			return false;
		i += n;
	}
}

static bool is_path(struct bytes b, bool any_case)
{
	struct cutter components = { .rest = b };
	struct bytes component;

	while (cut(&components, '/', &component))
		if (!is_component(component, any_case))
			return false;
	return true;
}

bool grammar_path(struct bytes b)
{
	return is_path(b, false);
}

bool grammar_path_any_case(struct bytes b)
{
	return is_path(b, true);
}

static bool is_tag_char(uint8_t c)
{
	return is_alnum(c) || c == '_' || c == '.' || c == '-';
}

bool grammar_tag(struct bytes b)
{
	return b.len <= REFERENCE_TAG_MAX && all_of(b, is_tag_char) && b.data[0] != '.' && b.data[0] != '-';
}

/* [A-Za-z][A-Za-z0-9]* with one of -_+. between such words */
static bool is_algorithm(struct bytes b)
{
	bool word_starts = true;

	for (size_t i = 0; i < b.len; i++) {
		uint8_t c = b.data[i];

		if (word_starts ? is_alpha(c) : is_alnum(c))
			word_starts = false;
		else if (!word_starts && memchr("-_+.", c, 4))
			word_starts = true;
		else
			return false;
	}
	return !word_starts;
}

bool grammar_digest(struct bytes b)
{
	const uint8_t *colon = b.len ? memchr(b.data, ':', b.len) : NULL;
	struct bytes algorithm, hex;

	if (!colon)
		return false;
	algorithm = (struct bytes){ b.data, (size_t)(colon - b.data) };
	hex = (struct bytes){ colon + 1, b.len - algorithm.len - 1 };
	return is_algorithm(algorithm) && hex.len >= DIGEST_HEX_MIN && all_of(hex, is_hex);
}
