#include "service/layer/tar_count.h"

#include <inttypes.h>

#include "service/layer/protocol.h"

void tar_count_init(struct tar_count *t, uint64_t max_entries, uint64_t max_file)
{
	*t = (struct tar_count){ .max_entries = max_entries, .max_file = max_file };
	tar_entry_begin(&t->entry);
	t->extended = (struct buf)BUF_INIT(TAR_EXTENDED_MAX);
}

void tar_count_free(struct tar_count *t)
{
	buf_free(&t->extended);
}

/* `at`: where the block began that is wrong. */
static int fail_tar(struct tar_count *t, const char *what, struct err *err)
{
	uint64_t at = t->offset - TAR_BLOCK;

	return fail(err, E_BAD_CONTENT, "layer is not a sound tar: %s at byte %" PRIu64, what, at);
}

static void skip_to_header(struct tar_count *t, enum tar_state state, uint64_t size)
{
	t->padding = -size % TAR_BLOCK;
	t->left = size + t->padding;
	t->state = t->left ? state : TAR_AT_HEADER;
}

/* ---- extended headers ------------------------------------------------------ */

/* The whole extended header has been collected. */
static int take_extended(struct tar_count *t, struct err *err)
{
	struct bytes content = { (const uint8_t *)buf_text(&t->extended), (size_t)t->entry.header.size };
	const char *wrong = tar_entry_take_extended(&t->entry, content);

	if (wrong)
		return fail_tar(t, wrong, err);
	t->state = TAR_AT_HEADER;
	return OK;
}

static int begin_extended(struct tar_count *t, struct err *err)
{
	if (t->entry.header.size > TAR_EXTENDED_MAX - TAR_BLOCK)
		return fail_tar(t, "extended header that is too long", err);
	buf_reset(&t->extended);
	skip_to_header(t, TAR_IN_EXTENDED, (uint64_t)t->entry.header.size);
	return t->left ? OK : take_extended(t, err);
}

static int collect(struct tar_count *t, const uint8_t *data, size_t len, struct err *err)
{
	if (!buf_append(&t->extended, data, len))
		return fail_nomem(err);
	t->left -= len;
	return t->left ? OK : take_extended(t, err);
}

/* ---- entries ---------------------------------------------------------------- */

/* `stored`: bytes in the archive. */
static int count_file(struct tar_count *t, uint64_t stored, struct err *err)
{
	uint64_t size = stored;

	if (t->entry.header.type == TAR_GNU_SPARSE)
		size = (uint64_t)t->entry.header.real_size;
	else if (t->entry.pax.real_size >= 0)
		size = (uint64_t)t->entry.pax.real_size;
	if (size <= t->max_file && size > layer_files_max - t->files_bytes)
		return fail(err, E_LIMIT, "layer has files of more than %" PRIu64 " bytes together", layer_files_max);
	if (size > t->max_file)
		return fail(err, E_LIMIT, "layer has a file of %" PRIu64 " bytes: the limit is %" PRIu64, size,
			    t->max_file);
	t->files_bytes += size;
	return OK;
}

static int begin_entry(struct tar_count *t, struct err *err)
{
	uint64_t stored = tar_entry_stored(&t->entry);
	int rc = OK;

	if (t->entries == t->max_entries)
		return fail(err, E_LIMIT, "layer has more than %" PRIu64 " entries", t->max_entries);
	t->entries++;
	if (tar_entry_is_regular(&t->entry))
		rc = count_file(t, stored, err);
	if (rc != OK)
		return rc;
	skip_to_header(t, TAR_IN_DATA, stored);
	if (t->entry.header.sparse_goes_on)
		t->state = TAR_IN_SPARSE_MAP;
	tar_entry_begin(&t->entry);
	return OK;
}

/* ---- blocks ------------------------------------------------------------------ */

static int take_header(struct tar_count *t, const uint8_t *block, struct err *err)
{
	const char *wrong;

	if (tar_block_is_zero(block)) {
		t->state = TAR_AT_SECOND_ZERO;
		return OK;
	}
	wrong = tar_header_read(block, &t->entry.header);
	if (wrong)
		return fail_tar(t, wrong, err);
	return tar_entry_is_extended(&t->entry) ? begin_extended(t, err) : begin_entry(t, err);
}

static int take_block(struct tar_count *t, const uint8_t *block, struct err *err)
{
	switch (t->state) {
	case TAR_AT_SECOND_ZERO:
		if (!tar_block_is_zero(block))
			return fail_tar(t, "header after a single zero block", err);
		t->state = TAR_AT_END;
		return OK;
	case TAR_IN_SPARSE_MAP:
		if (!tar_sparse_goes_on(block))
			t->state = t->left ? TAR_IN_DATA : TAR_AT_HEADER;
		return OK;
	default:
		return take_header(t, block, err);
	}
}

/* The next block of `data`, or what there is of it. Returns how many bytes it took. */
static int gather_block(struct tar_count *t, const uint8_t *data, size_t len, size_t *ret_taken, struct err *err)
{
	const uint8_t *block = data;
	size_t n = TAR_BLOCK;

	if (t->block_len || len < TAR_BLOCK) {
		n = TAR_BLOCK - t->block_len < len ? TAR_BLOCK - t->block_len : len;
		memcpy(t->block + t->block_len, data, n);
		t->block_len += n;
		block = t->block;
	}
	*ret_taken = n;
	t->offset += n;
	if (t->block_len && t->block_len < TAR_BLOCK)
		return OK;
	t->block_len = 0;
	return take_block(t, block, err);
}

static int take_some(struct tar_count *t, const uint8_t *data, size_t len, size_t *ret_taken, struct err *err)
{
	size_t n = t->left < len ? (size_t)t->left : len;

	switch (t->state) {
	case TAR_AT_END:
		*ret_taken = len;
		t->offset += len;
		return OK;
	case TAR_IN_DATA:
		*ret_taken = n;
		t->offset += n;
		t->left -= n;
		if (!t->left)
			t->state = TAR_AT_HEADER;
		return OK;
	case TAR_IN_EXTENDED:
		*ret_taken = n;
		t->offset += n;
		return collect(t, data, n, err);
	default:
		return gather_block(t, data, len, ret_taken, err);
	}
}

int tar_count_feed(struct tar_count *t, const uint8_t *data, size_t len, struct err *err)
{
	while (len) {
		size_t taken;
		int rc = take_some(t, data, len, &taken, err);

		if (rc != OK)
			return rc;
		data += taken;
		len -= taken;
	}
	return OK;
}

int tar_count_finish(struct tar_count *t, struct err *err)
{
	/* Some writers leave out the padding of the last file. */
	bool only_padding_is_missing = t->state == TAR_IN_DATA && t->left <= t->padding;
	bool at_border = t->state == TAR_AT_HEADER || t->state == TAR_AT_SECOND_ZERO || t->state == TAR_AT_END;

	if (only_padding_is_missing || (at_border && !t->block_len))
		return OK;
	return fail(err, E_BAD_CONTENT, "layer is not a sound tar: it ends in the middle of an entry, at byte %" PRIu64,
		    t->offset);
}

bool tar_count_at_end(const struct tar_count *t)
{
	return t->state == TAR_AT_SECOND_ZERO || t->state == TAR_AT_END;
}
