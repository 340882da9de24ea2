#include "service/layer/tar_header.h"

struct field {
	size_t at, len;
};

static const struct field field_name = { 0, 100 };
static const struct field field_size = { 124, 12 };
static const struct field field_checksum = { 148, 8 };
static const struct field field_link = { 157, 100 };
static const struct field field_magic = { 257, 8 };
static const struct field field_prefix = { 345, 155 };
static const struct field field_star_prefix = { 345, 131 };
static const struct field field_star_trailer = { 508, 4 };
static const struct field field_gnu_real_size = { 483, 12 };

enum { AT_TYPE = 156, AT_GNU_MORE = 482, AT_GNU_MAP_MORE = 504 };

bool tar_block_is_zero(const uint8_t block[TAR_BLOCK])
{
	return !block[0] && !memcmp(block, block + 1, TAR_BLOCK - 1);
}

/* GNU base-256: big-endian two's complement below the marker bit. Negative numbers
 * and those past INT64_MAX are refused. */
static bool read_binary(const uint8_t *p, size_t len, int64_t *ret_value)
{
	uint64_t value = p[0] & 0x7f;

	if (p[0] & 0x40)
		return false;
	for (size_t i = 1; i < len; i++) {
		if (value >> 55)
			return false;
		value = value << 8 | p[i];
	}
	*ret_value = (int64_t)value;
	return true;
}

/* Octal digits after spaces and NULs, ended by the field, spaces or a NUL, past which
 * old programs left anything; an empty field is 0. */
static bool read_octal(const uint8_t *p, size_t len, int64_t *ret_value)
{
	int64_t value = 0;
	size_t i = 0;

	while (i < len && (p[i] == ' ' || !p[i]))
		i++;
	for (; i < len && p[i] >= '0' && p[i] <= '7'; i++)
		value = value << 3 | (p[i] - '0');
	while (i < len && p[i] == ' ')
		i++;
	*ret_value = value;
	return i == len || !p[i];
}

/* The two's complement of the bits is what is below zero, less one. */
static bool read_negative(const uint8_t *p, size_t len, int64_t *ret_value)
{
	uint64_t value = ~p[0] & 0x3f;

	for (size_t i = 1; i < len; i++) {
		if (value >> 55)
			return false;
		value = value << 8 | (uint8_t)~p[i];
	}
	*ret_value = -(int64_t)value - 1;
	return true;
}

bool tar_number_read(const uint8_t *field, size_t len, int64_t *ret_value)
{
	if ((field[0] & 0xc0) == 0xc0)
		return read_negative(field, len, ret_value);
	return field[0] & 0x80 ? read_binary(field, len, ret_value) : read_octal(field, len, ret_value);
}

static bool read_number(const uint8_t *block, struct field f, int64_t *ret_value)
{
	const uint8_t *p = block + f.at;

	return p[0] & 0x80 ? read_binary(p, f.len, ret_value) : read_octal(p, f.len, ret_value);
}

/* The sum of all bytes with the checksum field as spaces. Old programs summed signed
 * bytes: each byte from 128 on makes that sum 256 smaller. */
static bool checksum_matches(const uint8_t *block, int64_t wanted)
{
	uint32_t sum = 0, high = 0;

	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += block[i];
	for (size_t i = 0; i < field_checksum.len; i++)
		sum += (uint32_t)' ' - block[field_checksum.at + i];
	if (wanted == sum)
		return true;
	for (size_t i = 0; i < TAR_BLOCK; i++)
		high += block[i] >> 7;
	for (size_t i = 0; i < field_checksum.len; i++)
		high -= block[field_checksum.at + i] >> 7;
	return wanted == (int64_t)sum - 256 * (int64_t)high;
}

static size_t text_len(const uint8_t *block, struct field f)
{
	return strnlen((const char *)block + f.at, f.len);
}

static bool ends_with_slash(const uint8_t *block)
{
	size_t len = text_len(block, field_name);

	return len && block[field_name.at + len - 1] == '/';
}

static bool is_gnu(const uint8_t *block)
{
	return !memcmp(block + field_magic.at, "ustar  ", field_magic.len);
}

const char *tar_header_read(const uint8_t block[TAR_BLOCK], struct tar_header *ret_header)
{
	struct tar_header h = { .type = block[AT_TYPE], .name_is_directory = ends_with_slash(block) };
	int64_t checksum;

	if (!read_number(block, field_checksum, &checksum) || !checksum_matches(block, checksum))
		return "header with a wrong checksum";
	if (!read_number(block, field_size, &h.size))
		return "header with a bad size";
	if (h.type == TAR_GNU_SPARSE) {
		if (!is_gnu(block))
			return "sparse header that is not GNU's";
		if (!read_number(block, field_gnu_real_size, &h.real_size))
			return "sparse header with a bad size";
		h.sparse_goes_on = block[AT_GNU_MORE] != 0;
	}
	*ret_header = h;
	return NULL;
}

/* POSIX's magic, whatever the version; GNU's has a space in the place of the NUL. */
static bool is_ustar(const uint8_t *block)
{
	return !memcmp(block + field_magic.at, "ustar", 6);
}

/* star had a shorter prefix, with times behind it. */
static struct field prefix_of(const uint8_t *block)
{
	bool is_star = !memcmp(block + field_star_trailer.at, "tar", field_star_trailer.len);

	return is_star ? field_star_prefix : field_prefix;
}

size_t tar_header_name(const uint8_t block[TAR_BLOCK], char ret_name[TAR_HEADER_NAME_MAX])
{
	size_t used = 0, len = text_len(block, field_name);

	if (is_ustar(block)) {
		used = text_len(block, prefix_of(block));
		memcpy(ret_name, block + field_prefix.at, used);
		if (used)
			ret_name[used++] = '/';
	}
	memcpy(ret_name + used, block + field_name.at, len);
	return used + len;
}

struct bytes tar_header_link(const uint8_t block[TAR_BLOCK])
{
	return (struct bytes){ block + field_link.at, text_len(block, field_link) };
}

bool tar_sparse_goes_on(const uint8_t block[TAR_BLOCK])
{
	return block[AT_GNU_MAP_MORE] != 0;
}
