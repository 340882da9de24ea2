#include "service/build/context/archive_kind.h"

#include "service/layer/archive.h"
#include "service/layer/magic.h"

enum { CHECKSUM_AT = 148, CHECKSUM_LEN = 8 };

bool archive_is_tar_header(const uint8_t block[ARCHIVE_BLOCK])
{
	uint32_t sum = 0, told = 0;

	for (size_t i = 0; i < ARCHIVE_BLOCK; i++)
		sum += i - CHECKSUM_AT < CHECKSUM_LEN ? ' ' : block[i];
	for (size_t i = CHECKSUM_AT; i < CHECKSUM_AT + CHECKSUM_LEN; i++)
		if (block[i] >= '0' && block[i] <= '7')
			told = told * 8 + (block[i] - '0');
		else if (block[i] != ' ')
			break;
	return sum == told;
}

/* A block that is being read. */
struct first_block {
	const struct archive_reader *from;
	struct bytes raw; /* read, and not used */
	bool ended, filter_ended;
	uint8_t data[ARCHIVE_BLOCK];
	size_t len;
};

static int refill(struct first_block *b, struct err *err)
{
	int rc;

	if (b->raw.len || b->ended)
		return OK;
	rc = b->from->receive(b->from->arg, &b->raw, err);
	b->ended = rc == 0;
	if (rc <= 0)
		b->raw = (struct bytes){ 0 };
	return rc < 0 ? rc : OK;
}

static int read_plain(struct first_block *b, struct err *err)
{
	int rc = OK;

	while (rc == OK && b->len < sizeof b->data && !b->ended) {
		size_t n = min_size(b->raw.len, sizeof b->data - b->len);

		if (n) {
			memcpy(b->data + b->len, b->raw.data, n);
			b->raw = (struct bytes){ b->raw.data + n, b->raw.len - n };
		}
		b->len += n;
		rc = refill(b, err);
	}
	return rc;
}

static int feed(struct first_block *b, struct inflate_filter *f, struct cancel *cancel, struct err *err)
{
	size_t taken = 0;
	int rc = refill(b, err);

	if (rc == OK && b->raw.len)
		rc = inflate_filter_write(f, b->raw.data, b->raw.len, &taken, err);
	else if (rc == OK && !b->filter_ended) {
		inflate_filter_end(f);
		b->filter_ended = true;
	}
	if (rc != OK)
		return rc;
	if (!taken)
		return inflate_filter_wait(f, cancel, err);
	b->raw = (struct bytes){ b->raw.data + taken, b->raw.len - taken };
	return OK;
}

static int read_inflated(struct first_block *b, struct inflate_filter *f, struct cancel *cancel, struct err *err)
{
	bool ended = false;
	int rc = OK;

	while (rc == OK && b->len < sizeof b->data && !ended) {
		size_t len = 0;

		rc = inflate_filter_read(f, b->data + b->len, sizeof b->data - b->len, &len, err);
		if (rc == E_BUSY)
			rc = feed(b, f, cancel, err);
		else
			ended = !len;
		b->len += len;
	}
	return rc;
}

static bool is_of_the_content(int code)
{
	return code == E_BAD_CONTENT || code == E_LIMIT || code == E_UNSUPPORTED;
}

int archive_is_tar(const char *worker_program, const struct archive_reader *from, struct cancel *cancel, bool *ret_is,
		   struct err *err)
{
	CLEANUP(freep) struct first_block *b = calloc(1, sizeof *b);
	CLEANUP(inflate_filter_freep) struct inflate_filter *f = NULL;
	struct layer_policy policy = layer_policy_default();
	struct err why = ERR_INIT;
	int rc;

	if (!b)
		return fail_nomem(err);
	b->from = from;
	rc = refill(b, err);
	if (rc != OK)
		return rc;
	if (magic_format(b->raw) == INFLATE_PLAIN) {
		rc = read_plain(b, err);
	} else {
		rc = inflate_filter_new(worker_program, &policy, &f, &why);
		if (rc == OK)
			rc = read_inflated(b, f, cancel, &why);
		if (is_of_the_content(rc))
			b->len = 0;
		else if (rc != OK)
			return fail(err, rc, "%s", why.text);
		rc = OK;
	}
	*ret_is = b->len == sizeof b->data && b->data[0] && archive_is_tar_header(b->data);
	return rc;
}
