#include "client/cli/search_filter.h"

#include <ctype.h>

/* A piece without the blanks around it. */
static struct bytes trim(const char *text, size_t len)
{
	while (len && isspace((unsigned char)*text)) {
		text++;
		len--;
	}
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	return (struct bytes){ (const uint8_t *)text, len };
}

static int bad(const char *key, const char *value, const char *why, struct err *err)
{
	return fail(err, E_INVALID_FILTER, "invalid filter '%s=%s': strconv.Atoi: parsing \"%s\": %s", key, value,
		    value, why);
}

/* Of several the largest counts. */
static int set_stars(Imaged__V1__SearchRequest *request, const char *value, struct err *err)
{
	const char *digits = value + (*value == '-' || *value == '+');
	size_t n = strspn(digits, "0123456789");
	long long stars;

	if (!n || digits[n])
		return bad("stars", value, "invalid syntax", err);
	errno = 0;
	stars = strtoll(value, NULL, 10);
	if (errno)
		return bad("stars", value, "value out of range", err);
	if (stars > INT32_MAX)
		stars = INT32_MAX;
	if (stars > request->min_stars)
		request->min_stars = (int32_t)stars;
	return OK;
}

static int set_choice(Imaged__V1__Choice *choice, const char *key, const char *value, struct err *err)
{
	bool yes = !strcmp(value, "true") || !strcmp(value, "1");
	Imaged__V1__Choice made = yes ? IMAGED__V1__CHOICE__CHOICE_YES : IMAGED__V1__CHOICE__CHOICE_NO;

	if (!yes && strcmp(value, "false") && strcmp(value, "0"))
		return fail(err, E_INVALID_FILTER, "invalid filter '%s=[%s]'", key, value);
	if (*choice && *choice != made)
		return fail(err, E_INVALID_FILTER, "invalid filter '%s=[false true]'", key);
	*choice = made;
	return OK;
}

static int set(Imaged__V1__SearchRequest *request, const char *key, const char *value, bool *ret_automated,
	       struct err *err)
{
	if (!strcmp(key, "stars"))
		return set_stars(request, value, err);
	if (!strcmp(key, "is-official"))
		return set_choice(&request->official, key, value, err);
	if (!strcmp(key, "is-automated")) {
		*ret_automated = true;
		return set_choice(&request->automated, key, value, err);
	}
	return fail(err, E_INVALID_FILTER, "invalid filter '%s'", key);
}

int search_filter_parse(const struct strings *filters, Imaged__V1__SearchRequest *request, bool *ret_automated,
			struct err *err)
{
	*ret_automated = false;
	for (size_t i = 0; i < filters->n; i++) {
		const char *filter = filters->items[i], *equals = strchr(filter, '=');
		CLEANUP(freep) char *key = bytes_to_string(trim(filter, (size_t)(equals - filter)));
		CLEANUP(freep) char *value = bytes_to_string(trim(equals + 1, strlen(equals + 1)));
		int r;

		if (!key || !value)
			return fail_nomem(err);
		for (char *c = key; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		r = set(request, key, value, ret_automated, err);
		if (r)
			return r;
	}
	return OK;
}
