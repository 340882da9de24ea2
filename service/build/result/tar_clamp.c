#include "service/build/result/tar_clamp.h"

#include "store/archive/tar_head.h"

enum {
	PIECE_BYTES = 256 * 1024,
	RECORDS_MAX = 2 * 1024 * 1024,
	SIZE_AT = 124,
	MTIME_AT = 136,
	NUMBER_LEN = 12,
	SUM_AT = 148,
	SUM_LEN = 8,
	TYPE_AT = 156,
};

struct clamp {
	int fd;
	int64_t at;
	int64_t seconds;
	tar_clamp_write *write;
	void *arg;
	struct cancel *cancel;
	struct buf records;	/* of the next entry, without its time where that is clamped */
	bool has_size, is_late; /* what the records tell of the entry */
	int64_t size;
	uint8_t piece[PIECE_BYTES];
};

static int fail_tar(const struct clamp *c, struct err *err)
{
	return fail(err, E_CORRUPT, "a layer's tar is damaged before byte %lld", (long long)c->at);
}

/* *ret_len: less than wanted at the end of the file only. */
static int read_some(struct clamp *c, uint8_t *to, size_t wanted, size_t *ret_len, struct err *err)
{
	size_t len = 0;

	while (len < wanted) {
		ssize_t n = pread(c->fd, to + len, wanted - len, c->at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "read a layer");
		if (!n)
			break;
		len += (size_t)n;
		c->at += n;
	}
	*ret_len = len;
	return OK;
}

/* The next `len` bytes, as they are. */
static int pass(struct clamp *c, int64_t len, struct err *err)
{
	while (len > 0) {
		size_t n = 0;

		if (cancel_check(c->cancel, err) < 0 ||
		    read_some(c, c->piece, min_size((uint64_t)len, PIECE_BYTES), &n, err) < 0)
			return err->code;
		if (!n)
			return fail_tar(c, err);
		if (c->write(c->arg, c->piece, n, err) < 0)
			return err->code;
		len -= (int64_t)n;
	}
	return OK;
}

/* ---- numbers of headers ---------------------------------------------------------- */

/* Octal, or in base 256 (GNU), where a negative time begins with all bits. */
static bool read_number(const uint8_t *field, int64_t *ret_value)
{
	uint64_t value = 0;
	size_t i = 0;

	if (*field & 0x80) {
		value = *field == 0xff ? UINT64_MAX : *field & 0x7f;
		for (i = 1; i < NUMBER_LEN; i++)
			value = value << 8 | field[i];
		*ret_value = (int64_t)value;
		return true;
	}
	while (i < NUMBER_LEN && field[i] == ' ')
		i++;
	for (; i < NUMBER_LEN && field[i] >= '0' && field[i] <= '7'; i++)
		value = value << 3 | (uint64_t)(field[i] - '0');
	*ret_value = (int64_t)value;
	return i == NUMBER_LEN || !field[i] || field[i] == ' ';
}

static void write_octal(uint8_t *field, size_t digits, uint64_t value)
{
	for (size_t i = digits; i-- > 0; value >>= 3)
		field[i] = (uint8_t)('0' + (value & 7));
}

/* The sum of all bytes, with its own field as blanks. */
static void set_sum(uint8_t block[TAR_BLOCK_BYTES])
{
	uint64_t sum = 0;

	memset(block + SUM_AT, ' ', SUM_LEN);
	for (size_t i = 0; i < TAR_BLOCK_BYTES; i++)
		sum += block[i];
	write_octal(block + SUM_AT, SUM_LEN - 2, sum);
	block[SUM_AT + SUM_LEN - 2] = 0;
}

/* A header has no more than what its field holds where a record tells the time. A time that the
 * field cannot hold stays where it is: before 1970. */
static void clamp_time(const struct clamp *c, uint8_t block[TAR_BLOCK_BYTES], int64_t mtime)
{
	if ((mtime <= c->seconds && !c->is_late) || c->seconds < 0)
		return;
	write_octal(block + MTIME_AT, NUMBER_LEN - 1, (uint64_t)c->seconds);
	block[MTIME_AT + NUMBER_LEN - 1] = 0;
	set_sum(block);
}

/* ---- records --------------------------------------------------------------------- */

/* "LENGTH KEY=VALUE\n": *ret_len is all of it, *ret_key where the key begins. */
static bool next_record(struct bytes rest, size_t *ret_len, size_t *ret_key)
{
	size_t len = 0, i = 0;

	for (; i < rest.len && rest.data[i] >= '0' && rest.data[i] <= '9' && len < RECORDS_MAX; i++)
		len = 10 * len + (size_t)(rest.data[i] - '0');
	if (!i || i >= rest.len || rest.data[i] != ' ' || len <= i + 1 || len > rest.len || rest.data[len - 1] != '\n')
		return false;
	*ret_len = len;
	*ret_key = i + 1;
	return true;
}

static bool has_key(struct bytes record, size_t key, const char *name)
{
	size_t len = strlen(name);

	return record.len - key > len && !memcmp(record.data + key, name, len) && record.data[key + len] == '=';
}

/* The whole part; a fraction makes a time later than its second. */
static int64_t record_seconds(struct bytes record, size_t value, bool *ret_fraction)
{
	bool negative = record.data[value] == '-';
	int64_t n = 0;
	size_t i = value + negative;

	for (; i < record.len && record.data[i] >= '0' && record.data[i] <= '9' && n < INT64_MAX / 20; i++)
		n = 10 * n + (record.data[i] - '0');
	*ret_fraction = record.data[i] == '.';
	return negative ? -n : n;
}

static bool is_late(const struct clamp *c, struct bytes record, size_t value)
{
	bool fraction;
	int64_t seconds = record_seconds(record, value, &fraction);

	return seconds > c->seconds || (seconds == c->seconds && fraction);
}

static int keep_records(struct clamp *c, struct bytes all, struct err *err)
{
	size_t len, key;

	buf_reset(&c->records);
	c->has_size = c->is_late = false;
	for (; all.len; all = (struct bytes){ all.data + len, all.len - len }) {
		struct bytes record;
		bool ignored;

		if (!next_record(all, &len, &key))
			return fail_tar(c, err);
		record = (struct bytes){ all.data, len };
		if (has_key(record, key, "size")) {
			c->has_size = true;
			c->size = record_seconds(record, key + sizeof "size", &ignored);
		}
		if (has_key(record, key, "mtime") && is_late(c, record, key + sizeof "mtime"))
			c->is_late = true;
		else
			buf_append(&c->records, record.data, record.len);
	}
	return buf_ok(&c->records) ? OK : fail_nomem(err);
}

/* A header of records and what it holds, with fewer of them, or not at all. */
static int write_records(struct clamp *c, uint8_t block[TAR_BLOCK_BYTES], struct err *err)
{
	static const uint8_t zeros[TAR_BLOCK_BYTES];
	size_t padding = tar_padding((int64_t)c->records.len);

	if (!c->records.len)
		return OK;
	write_octal(block + SIZE_AT, NUMBER_LEN - 1, c->records.len);
	set_sum(block);
	if (c->write(c->arg, block, TAR_BLOCK_BYTES, err) < 0 ||
	    c->write(c->arg, c->records.data, c->records.len, err) < 0)
		return err->code;
	return padding ? c->write(c->arg, zeros, padding, err) : OK;
}

static int clamp_records(struct clamp *c, uint8_t block[TAR_BLOCK_BYTES], int64_t size, struct err *err)
{
	CLEANUP(freep) uint8_t *all = NULL;
	size_t whole, len = 0;
	int64_t mtime = 0;

	if (size < 0 || size > RECORDS_MAX)
		return fail_tar(c, err);
	whole = (size_t)size + tar_padding(size);
	all = malloc(whole + 1);
	if (!all)
		return fail_nomem(err);
	if (read_some(c, all, whole, &len, err) < 0)
		return err->code;
	if (len < whole)
		return fail_tar(c, err);
	if (read_number(block + MTIME_AT, &mtime))
		clamp_time(c, block, mtime);
	if (keep_records(c, (struct bytes){ all, (size_t)size }, err) < 0)
		return err->code;
	return write_records(c, block, err);
}

/* ---- entries --------------------------------------------------------------------- */

static bool is_zero(const uint8_t block[TAR_BLOCK_BYTES])
{
	for (size_t i = 0; i < TAR_BLOCK_BYTES; i++)
		if (block[i])
			return false;
	return true;
}

static int clamp_entry(struct clamp *c, uint8_t block[TAR_BLOCK_BYTES], struct err *err)
{
	int64_t size = 0, mtime = 0;
	char type = (char)block[TYPE_AT];

	if (is_zero(block))
		return c->write(c->arg, block, TAR_BLOCK_BYTES, err);
	if (!read_number(block + SIZE_AT, &size) || !read_number(block + MTIME_AT, &mtime))
		return fail_tar(c, err);
	if (type == 'x')
		return clamp_records(c, block, size, err);
	if (type != 'L' && type != 'K' && type != 'g') {
		clamp_time(c, block, mtime);
		size = c->has_size ? c->size : size;
		c->has_size = c->is_late = false;
	}
	if (size < 0 || size > INT64_MAX - TAR_BLOCK_BYTES)
		return fail_tar(c, err);
	if (c->write(c->arg, block, TAR_BLOCK_BYTES, err) < 0)
		return err->code;
	return pass(c, size + (int64_t)tar_padding(size), err);
}

static int clamp_all(struct clamp *c, struct err *err)
{
	uint8_t block[TAR_BLOCK_BYTES];
	size_t len = 0;

	for (;;) {
		if (read_some(c, block, sizeof block, &len, err) < 0)
			return err->code;
		if (!len)
			return OK;
		if (len < sizeof block)
			return fail_tar(c, err);
		if (clamp_entry(c, block, err) < 0)
			return err->code;
	}
}

int tar_clamp(int fd, int64_t seconds, tar_clamp_write *write, void *arg, struct cancel *cancel, struct err *err)
{
	struct clamp *c = calloc(1, sizeof *c);
	struct err ignored = ERR_INIT;
	int r;

	err = err ? err : &ignored;
	if (!c)
		return fail_nomem(err);
	c->fd = fd;
	c->seconds = seconds;
	c->write = write;
	c->arg = arg;
	c->cancel = cancel;
	c->records = (struct buf)BUF_INIT(RECORDS_MAX);
	r = clamp_all(c, err);
	buf_free(&c->records);
	free(c);
	return r;
}
