#include "service/layer/tar_attributes.h"

#include "service/layer/tar_pax.h"

enum {
	AT_MODE = 100,
	AT_UID = 108,
	AT_GID = 116,
	AT_MTIME = 136,
	AT_TYPE = 156,
	AT_MAJOR = 329,
	AT_MINOR = 337,
	SHORT_FIELD = 8,
	TIME_FIELD = 12,
};

/* The last id, (uint32_t)-1, means none to every system call. */
static const int64_t id_max = UINT32_MAX - 1;

/* Of Linux's device numbers: 12 and 20 bits. */
enum { MAJOR_MAX = (1 << 12) - 1, MINOR_MAX = (1 << 20) - 1 };

static bool read_within(const uint8_t *block, size_t at, int64_t max, uint32_t *ret_value)
{
	int64_t value;

	if (!tar_number_read(block + at, SHORT_FIELD, &value) || value < 0 || value > max)
		return false;
	*ret_value = (uint32_t)value;
	return true;
}

/* ---- PAX ---------------------------------------------------------------------- */

static bool take_id(struct bytes text, uint32_t *id)
{
	int64_t value;

	if (!tar_pax_decimal(text, &value) || value > id_max)
		return false;
	*id = (uint32_t)value;
	return true;
}

/* Digits after the point; those past nanoseconds are cut off. */
static bool read_fraction(struct bytes text, uint32_t *ret_ns)
{
	uint32_t ns = 0;

	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
	for (size_t i = 0; i < 9; i++)
		ns = ns * 10 + (i < text.len ? (uint32_t)(text.data[i] - '0') : 0);
	*ret_ns = ns;
	return true;
}

/* "-1.5" is half a second after -2. */
static bool take_time(struct bytes text, struct tar_attributes *a)
{
	bool negative = text.len && text.data[0] == '-';
	struct bytes whole = { text.data + negative, text.len - negative }, fraction = { NULL, 0 };
	const uint8_t *point = memchr(whole.data, '.', whole.len);
	int64_t seconds;
	uint32_t ns;

	if (point) {
		fraction = (struct bytes){ point + 1, (size_t)(whole.data + whole.len - point - 1) };
		whole.len = (size_t)(point - whole.data);
	}
	if (!tar_pax_decimal(whole, &seconds) || !read_fraction(fraction, &ns))
		return false;
	if (negative) {
		seconds = -seconds - (ns > 0);
		ns = ns ? 1000000000 - ns : 0;
	}
	a->mtime = seconds;
	a->mtime_ns = ns;
	return true;
}

/* An empty value takes back what an earlier record said: the header counts again. */
static const char *take_records(struct bytes records, struct tar_attributes *a)
{
	const struct tar_attributes of_header = *a;
	struct tar_pax_record r;

	while (records.len && tar_pax_next(&records, &r)) {
		if (tar_text_is(r.key, "uid")) {
			a->uid = of_header.uid;
			if (r.value.len && !take_id(r.value, &a->uid))
				return "extended header with a bad owner";
		} else if (tar_text_is(r.key, "gid")) {
			a->gid = of_header.gid;
			if (r.value.len && !take_id(r.value, &a->gid))
				return "extended header with a bad group";
		} else if (tar_text_is(r.key, "mtime")) {
			a->mtime = of_header.mtime;
			a->mtime_ns = of_header.mtime_ns;
			if (r.value.len && !take_time(r.value, a))
				return "extended header with a bad time";
		}
	}
	return NULL;
}

/* ---- header ------------------------------------------------------------------- */

static bool has_record(struct bytes records, const char *key)
{
	bool has = false;
	struct tar_pax_record r;

	while (records.len && tar_pax_next(&records, &r))
		if (tar_text_is(r.key, key))
			has = r.value.len > 0;
	return has;
}

/* A number that does not fit into its field is often left out, or nonsense, where a PAX
 * record has it. */
static const char *take_header(const uint8_t *block, struct bytes pax, struct tar_attributes *a)
{
	int64_t mode;

	if (!tar_number_read(block + AT_MODE, SHORT_FIELD, &mode))
		return "header with a bad mode";
	a->mode = (uint16_t)(mode & TAR_MODE_BITS);
	if (!read_within(block, AT_UID, id_max, &a->uid) && !has_record(pax, "uid"))
		return "header with a bad owner";
	if (!read_within(block, AT_GID, id_max, &a->gid) && !has_record(pax, "gid"))
		return "header with a bad group";
	if (!tar_number_read(block + AT_MTIME, TIME_FIELD, &a->mtime) && !has_record(pax, "mtime"))
		return "header with a bad time";
	return NULL;
}

static const char *take_device(const uint8_t *block, struct tar_attributes *a)
{
	uint8_t type = block[AT_TYPE];

	if (type != TAR_CHAR_DEVICE && type != TAR_BLOCK_DEVICE)
		return NULL;
	if (!read_within(block, AT_MAJOR, MAJOR_MAX, &a->major) || !read_within(block, AT_MINOR, MINOR_MAX, &a->minor))
		return "header with a bad device number";
	return NULL;
}

const char *tar_attributes_read(const uint8_t block[TAR_BLOCK], struct bytes pax, struct tar_attributes *ret_attributes)
{
	struct tar_attributes a = { 0 };
	const char *wrong = take_header(block, pax, &a);

	if (!wrong)
		wrong = take_records(pax, &a);
	if (!wrong)
		wrong = take_device(block, &a);
	if (!wrong)
		*ret_attributes = a;
	return wrong;
}
