#include "service/registry/challenge.h"

#include <ctype.h>
#include <strings.h>

static bool at_end(const struct challenge_cursor *c)
{
	return !c->rest.len;
}

static int peek(const struct challenge_cursor *c)
{
	return at_end(c) ? -1 : c->rest.data[0];
}

static void advance(struct challenge_cursor *c, size_t n)
{
	c->rest = (struct bytes){ c->rest.data + n, c->rest.len - n };
}

static bool skip_blanks(struct challenge_cursor *c)
{
	bool any = false;

	for (; peek(c) == ' ' || peek(c) == '\t'; any = true)
		advance(c, 1);
	return any;
}

static bool is_token_char(int c)
{
	return c > 0 && c < 128 && (isalnum(c) || strchr("!#$%&'*+-.^_`|~", c));
}

static struct bytes take_token(struct challenge_cursor *c)
{
	struct bytes token = { c->rest.data, 0 };

	while (is_token_char(peek(c))) {
		advance(c, 1);
		token.len++;
	}
	return token;
}

static bool is_word(struct bytes token, const char *word)
{
	return token.len == strlen(word) && !strncasecmp((const char *)token.data, word, token.len);
}

/* ---- values ---------------------------------------------------------------- */

/* Where a parameter's value goes; `max` 0 is a parameter that we do not keep. */
struct slot {
	char *out;
	size_t max, len;
};

static int put(struct slot *s, int c, struct err *err)
{
	if (!s->max)
		return OK;
	if (c < 0x20 || c == 0x7f)
		return fail(err, E_INVALID, "challenge: control character in a value");
	if (s->len + 1 >= s->max)
		return fail(err, E_INVALID, "challenge: a value is too long");
	s->out[s->len++] = (char)c;
	s->out[s->len] = 0;
	return OK;
}

static int take_quoted(struct challenge_cursor *c, struct slot *s, struct err *err)
{
	int r = OK;

	for (advance(c, 1); r == OK && peek(c) != '"'; advance(c, 1)) {
		if (peek(c) == '\\')
			advance(c, 1);
		if (at_end(c))
			return fail(err, E_INVALID, "challenge: unterminated quote");
		r = put(s, peek(c), err);
	}
	if (r == OK)
		advance(c, 1);
	return r;
}

/* Wider than the grammar: servers send realm=https://host/path without quotes. */
static int take_plain(struct challenge_cursor *c, struct slot *s, struct err *err)
{
	int r = OK;

	for (; r == OK && peek(c) > ' ' && peek(c) != ',' && peek(c) != '"'; advance(c, 1))
		r = put(s, peek(c), err);
	return r;
}

static int take_value(struct challenge_cursor *c, struct slot *s, struct err *err)
{
	int r = peek(c) == '"' ? take_quoted(c, s, err) : take_plain(c, s, err);

	if (r != OK)
		return r;
	skip_blanks(c);
	if (!at_end(c) && peek(c) != ',')
		return fail(err, E_INVALID, "challenge: missing comma");
	return OK;
}

/* ---- challenges ------------------------------------------------------------ */

static struct slot slot_of(struct challenge *ch, struct bytes name, unsigned *ret_bit)
{
	const struct {
		const char *name;
		char *out;
		size_t max;
	} known[] = {
		{ "realm", ch->realm, sizeof ch->realm },
		{ "service", ch->service, sizeof ch->service },
		{ "scope", ch->scope, sizeof ch->scope },
		{ "error", ch->error, sizeof ch->error },
	};

	*ret_bit = 0;
	for (unsigned i = 0; i < ARRAY_LEN(known); i++) {
		if (is_word(name, known[i].name)) {
			*ret_bit = 1u << i;
			return (struct slot){ known[i].out, known[i].max, 0 };
		}
	}
	return (struct slot){ 0 };
}

/* "name = value" at the cursor: 1 when it was one. A token that no '=' follows is
 * the scheme of the next challenge; the cursor stays before it. */
static int take_param(struct challenge_cursor *c, struct challenge *ch, unsigned *seen, struct err *err)
{
	struct challenge_cursor ahead = *c;
	struct bytes name = take_token(&ahead);
	struct slot s;
	unsigned bit;
	int r;

	skip_blanks(&ahead);
	if (!name.len || peek(&ahead) != '=')
		return 0;
	advance(&ahead, 1);
	skip_blanks(&ahead);
	s = slot_of(ch, name, &bit);
	if (*seen & bit)
		return fail(err, E_INVALID, "challenge: a parameter comes twice");
	*seen |= bit;
	r = take_value(&ahead, &s, err);
	if (r != OK)
		return r;
	*c = ahead;
	return 1;
}

/* "Negotiate YWJj==": base64 in place of parameters. */
static void skip_token68(struct challenge_cursor *c)
{
	struct challenge_cursor ahead = *c;

	while (is_token_char(peek(&ahead)) || peek(&ahead) == '/')
		advance(&ahead, 1);
	while (peek(&ahead) == '=')
		advance(&ahead, 1);
	skip_blanks(&ahead);
	if (at_end(&ahead) || peek(&ahead) == ',')
		*c = ahead;
}

static void skip_commas(struct challenge_cursor *c)
{
	while (skip_blanks(c) || peek(c) == ',')
		if (peek(c) == ',')
			advance(c, 1);
}

static enum auth_scheme scheme_of(struct bytes word)
{
	if (is_word(word, "Bearer"))
		return AUTH_BEARER;
	return is_word(word, "Basic") ? AUTH_BASIC : AUTH_OTHER;
}

static int take_params(struct challenge_cursor *c, struct challenge *ch, struct err *err)
{
	unsigned seen = 0;
	int r = take_param(c, ch, &seen, err);

	if (r == 0)
		skip_token68(c);
	while (r == 1) {
		skip_commas(c);
		r = take_param(c, ch, &seen, err);
	}
	return r;
}

int challenge_next(struct challenge_cursor *c, struct challenge *ret_challenge, struct err *err)
{
	struct challenge ch = { 0 };
	struct bytes scheme;
	int r = OK;

	skip_commas(c);
	if (at_end(c))
		return 0;
	scheme = take_token(c);
	if (!scheme.len)
		return fail(err, E_INVALID, "challenge: a scheme was expected");
	ch.scheme = scheme_of(scheme);
	if (skip_blanks(c) && peek(c) != ',')
		r = take_params(c, &ch, err);
	else if (!at_end(c) && peek(c) != ',')
		r = fail(err, E_INVALID, "challenge: a blank was expected after the scheme");
	if (r != OK)
		return r;
	*ret_challenge = ch;
	return 1;
}

bool challenge_choose(const struct bytes *headers, size_t n, struct challenge *ret_challenge)
{
	struct challenge ch = { 0 }, best = { 0 };
	unsigned left = CHALLENGES_MAX;

	for (size_t i = 0; i < n; i++) {
		struct challenge_cursor c = { headers[i] };

		while (left && challenge_next(&c, &ch, NULL) == 1) {
			left--;
			if (ch.scheme > AUTH_OTHER && ch.scheme > best.scheme)
				best = ch;
		}
	}
	if (best.scheme == AUTH_NONE)
		return false;
	*ret_challenge = best;
	return true;
}
