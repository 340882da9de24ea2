#include "service/layer/tar_pax.h"

/* The values of GNU's sparse keys; which of them counts depends on the others. */
struct sparse {
	struct bytes major, minor, map, size, real_size;
};

static bool begins_with(struct bytes b, const char *text)
{
	return b.len >= strlen(text) && !memcmp(b.data, text, strlen(text));
}

bool tar_pax_decimal(struct bytes text, int64_t *ret_value)
{
	int64_t value = 0;

	if (!text.len)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		int digit = text.data[i] - '0';

		if (digit < 0 || digit > 9 || value > (INT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*ret_value = value;
	return true;
}

bool tar_pax_next(struct bytes *rest, struct tar_pax_record *ret_record)
{
	const uint8_t *space = memchr(rest->data, ' ', rest->len), *text, *equal, *end;
	int64_t len;

	if (!space || !tar_pax_decimal((struct bytes){ rest->data, (size_t)(space - rest->data) }, &len))
		return false;
	text = space + 1;
	if (len > (int64_t)rest->len || len <= text - rest->data)
		return false;
	end = rest->data + len - 1;
	if (*end != '\n')
		return false;
	equal = memchr(text, '=', (size_t)(end - text));
	if (!equal || equal == text)
		return false;
	ret_record->key = (struct bytes){ text, (size_t)(equal - text) };
	ret_record->value = (struct bytes){ equal + 1, (size_t)(end - equal - 1) };
	rest->data += len;
	rest->len -= (size_t)len;
	return true;
}

static bool take_size(struct bytes value, int64_t *ret_size)
{
	if (value.len)
		return tar_pax_decimal(value, ret_size);
	*ret_size = -1;
	return true;
}

static void take_path(struct bytes value, struct tar_pax *pax)
{
	pax->path = value;
	pax->has_path = value.len > 0;
	pax->path_is_directory = value.len && value.data[value.len - 1] == '/';
}

static void take_sparse(const struct tar_pax_record *r, struct sparse *s)
{
	const struct {
		const char *key;
		struct bytes *value;
	} keys[] = {
		{ "GNU.sparse.offset", &s->map }, /* 0.0 gives its map piece by piece */
		{ "GNU.sparse.major", &s->major }, { "GNU.sparse.minor", &s->minor },
		{ "GNU.sparse.map", &s->map },	   { "GNU.sparse.realsize", &s->real_size },
		{ "GNU.sparse.size", &s->size },
	};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (tar_text_is(r->key, keys[i].key))
			*keys[i].value = r->value;
}

static bool is_sparse(const struct sparse *s)
{
	if (tar_text_is(s->major, "1"))
		return tar_text_is(s->minor, "0");
	if (tar_text_is(s->major, "0"))
		return tar_text_is(s->minor, "0") || tar_text_is(s->minor, "1");
	return s->map.len > 0;
}

const char *tar_pax_read(struct bytes records, struct tar_pax *ret_pax)
{
	struct tar_pax pax = { .size = -1, .real_size = -1 };
	struct sparse sparse = { 0 };
	struct tar_pax_record r;

	while (records.len) {
		if (!tar_pax_next(&records, &r))
			return "extended header with a bad record";
		if (tar_text_is(r.key, "size") && !take_size(r.value, &pax.size))
			return "extended header with a bad size";
		if (tar_text_is(r.key, "path"))
			take_path(r.value, &pax);
		if (tar_text_is(r.key, "linkpath"))
			pax.link = r.value;
		if (begins_with(r.key, "GNU.sparse.")) {
			pax.is_sparse |= r.value.len > 0;
			take_sparse(&r, &sparse);
		}
	}
	if (is_sparse(&sparse)) {
		struct bytes real = sparse.size.len ? sparse.size : sparse.real_size;

		if (!take_size(real, &pax.real_size))
			return "extended header with a bad sparse size";
	}
	*ret_pax = pax;
	return NULL;
}
