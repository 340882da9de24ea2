#include "service/layer/tar_stream.h"

#include <inttypes.h>

enum stream_state {
	AT_HEADER,
	IN_EXTENDED, /* `left` bytes to collect, then `padding` */
	IN_MAP,	     /* blocks of a sparse file's map */
	IN_DATA,
	IN_PADDING,
	AT_SECOND_ZERO,
	AT_END,
};

struct tar_stream {
	struct tar_sink sink;
	uint64_t max_entries, max_file;
	uint64_t entries;
	uint64_t offset; /* bytes fed */
	enum stream_state state;
	uint64_t left, padding;
	uint8_t partial[TAR_BLOCK]; /* of a block that came in pieces */
	size_t partial_len;

	/* the entry whose headers are read, or whose data go by */
	struct tar_entry entry;
	unsigned run; /* extended headers */
	enum tar_extended_kind extended;
	struct buf contents[TAR_EXTENDED_KINDS];
	uint8_t header[TAR_BLOCK];
	uint64_t at;
	uint64_t stored;
	char name[TAR_HEADER_NAME_MAX];
	struct tar_sparse sparse;
	struct tar_item item;
};

/* ---- begin and end ------------------------------------------------------------- */

static void forget_entry(struct tar_stream *t)
{
	tar_entry_begin(&t->entry);
	t->run = 0;
	for (size_t i = 0; i < ARRAY_LEN(t->contents); i++)
		buf_reset(&t->contents[i]);
}

int tar_stream_new(const struct tar_sink *sink, uint64_t max_entries, uint64_t max_file, struct tar_stream **ret_stream,
		   struct err *err)
{
	struct tar_stream *t = calloc(1, sizeof *t);

	if (!t)
		return fail_nomem(err);
	t->sink = *sink;
	t->max_entries = max_entries;
	t->max_file = max_file;
	for (size_t i = 0; i < ARRAY_LEN(t->contents); i++)
		t->contents[i] = (struct buf)BUF_INIT(TAR_EXTENDED_MAX);
	tar_sparse_init(&t->sparse);
	forget_entry(t);
	*ret_stream = t;
	return OK;
}

void tar_stream_free(struct tar_stream *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < ARRAY_LEN(t->contents); i++)
		buf_free(&t->contents[i]);
	tar_sparse_free(&t->sparse);
	free(t);
}

void tar_stream_freep(struct tar_stream **t)
{
	tar_stream_free(*t);
}

uint64_t tar_stream_bytes(const struct tar_stream *t)
{
	return t->offset;
}

uint64_t tar_stream_entries(const struct tar_stream *t)
{
	return t->entries;
}

static int fail_tar(const struct tar_stream *t, const char *what, struct err *err)
{
	return fail(err, E_BAD_CONTENT, "layer is not a sound tar: %s at byte %" PRIu64, what, t->at);
}

/* ---- extended headers ----------------------------------------------------------- */

static enum tar_extended_kind extended_kind(uint8_t type)
{
	switch (type) {
	case TAR_PAX:
		return TAR_RECORDS;
	case TAR_GNU_LONG_NAME:
		return TAR_LONG_NAME;
	case TAR_GNU_LONG_LINK:
		return TAR_LONG_LINK;
	default:
		return TAR_GLOBAL;
	}
}

static int take_extended(struct tar_stream *t, struct err *err)
{
	const struct buf *b = &t->contents[t->extended];
	const char *wrong = tar_entry_take_extended(&t->entry, (struct bytes){ (const uint8_t *)buf_text(b), b->len });

	t->state = t->padding ? IN_PADDING : AT_HEADER;
	t->left = t->padding;
	return wrong ? fail_tar(t, wrong, err) : OK;
}

static int begin_extended(struct tar_stream *t, struct err *err)
{
	uint64_t size = (uint64_t)t->entry.header.size;

	if (size > TAR_EXTENDED_MAX - TAR_BLOCK)
		return fail_tar(t, "extended header that is too long", err);
	if (++t->run > TAR_HEADER_RUN)
		return fail_tar(t, "entry with too many extended headers", err);
	t->extended = extended_kind(t->entry.header.type);
	buf_reset(&t->contents[t->extended]);
	t->left = size;
	t->padding = -size % TAR_BLOCK;
	t->state = IN_EXTENDED;
	return size ? OK : take_extended(t, err);
}

static int collect(struct tar_stream *t, const uint8_t *data, size_t len, struct err *err)
{
	if (!buf_append(&t->contents[t->extended], data, len))
		return fail_nomem(err);
	t->left -= len;
	return t->left ? OK : take_extended(t, err);
}

/* ---- names ---------------------------------------------------------------------- */

/* GNU's are ended by a NUL, and filled up with more of them by some. */
static struct bytes long_text(const struct tar_stream *t, enum tar_extended_kind kind)
{
	struct bytes text = buf_bytes(&t->contents[kind]);

	if (text.len)
		text.len = strnlen((const char *)text.data, text.len);
	return text;
}

/* The last value of a key, or nothing. */
static struct bytes record_of(const struct tar_stream *t, const char *key)
{
	struct bytes records = buf_bytes(&t->contents[TAR_RECORDS]), value = { NULL, 0 };
	struct tar_pax_record r;

	while (records.len && tar_pax_next(&records, &r))
		if (tar_text_is(r.key, key))
			value = r.value;
	return value;
}

static int check_name(const struct tar_stream *t, struct bytes name, struct err *err)
{
	if (!name.len)
		return fail_tar(t, "entry without a name", err);
	if (name.len > TAR_NAME_MAX)
		return fail_tar(t, "name that is too long", err);
	return memchr(name.data, 0, name.len) ? fail_tar(t, "name with a NUL in it", err) : OK;
}

static int name_entry(struct tar_stream *t, struct err *err)
{
	struct bytes name = t->entry.pax.path;

	if (t->entry.pax.real_size >= 0) {
		struct bytes of_sparse = record_of(t, "GNU.sparse.name");

		name = of_sparse.len ? of_sparse : name;
	}
	if (!name.len)
		name = long_text(t, TAR_LONG_NAME);
	if (!name.len)
		name = (struct bytes){ (const uint8_t *)t->name, tar_header_name(t->header, t->name) };
	t->item.name = name;
	return check_name(t, name, err);
}

static int name_target(struct tar_stream *t, struct err *err)
{
	struct bytes link = t->entry.pax.link;

	t->item.link = (struct bytes){ NULL, 0 };
	if (t->item.kind != TAR_KIND_SYMLINK && t->item.kind != TAR_KIND_HARD_LINK)
		return OK;
	if (!link.len)
		link = long_text(t, TAR_LONG_LINK);
	if (!link.len)
		link = tar_header_link(t->header);
	t->item.link = link;
	return link.len ? check_name(t, link, err) : fail_tar(t, "link without a target", err);
}

/* ---- entries -------------------------------------------------------------------- */

static int find_kind(struct tar_stream *t, struct err *err)
{
	static const struct {
		uint8_t type;
		enum tar_kind kind;
	} kinds[] = {
		{ TAR_HARD_LINK, TAR_KIND_HARD_LINK },	   { TAR_SYMLINK, TAR_KIND_SYMLINK },
		{ TAR_CHAR_DEVICE, TAR_KIND_CHAR_DEVICE }, { TAR_BLOCK_DEVICE, TAR_KIND_BLOCK_DEVICE },
		{ TAR_DIRECTORY, TAR_KIND_DIRECTORY },	   { TAR_FIFO, TAR_KIND_FIFO },
	};
	uint8_t type = t->entry.header.type;

	t->item.kind = tar_entry_is_directory(&t->entry) ? TAR_KIND_DIRECTORY : TAR_KIND_REGULAR;
	if (t->item.kind == TAR_KIND_DIRECTORY || tar_entry_is_regular(&t->entry))
		return OK;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i].type == type) {
			t->item.kind = kinds[i].kind;
			return OK;
		}
	return fail(err, E_UNSUPPORTED, "layer has an entry of unknown type %u at byte %" PRIu64, type, t->at);
}

static void skip_to(struct tar_stream *t, enum stream_state state, uint64_t n)
{
	t->left = n;
	t->state = n ? state : AT_HEADER;
}

static int end_entry(struct tar_stream *t, struct err *err)
{
	int rc = t->sink.end(t->sink.arg, err);

	forget_entry(t);
	skip_to(t, IN_PADDING, t->padding);
	return rc;
}

static int check_size(struct tar_stream *t, struct err *err)
{
	if (t->item.size > t->max_file)
		return fail(err, E_LIMIT, "layer has a file of %" PRIu64 " bytes: the limit is %" PRIu64, t->item.size,
			    t->max_file);
	return OK;
}

static uint64_t real_size(const struct tar_stream *t)
{
	if (t->sparse.form == TAR_SPARSE_OLD)
		return (uint64_t)t->entry.header.real_size;
	return t->sparse.form == TAR_SPARSE_NONE ? t->stored : (uint64_t)t->entry.pax.real_size;
}

/* All headers and maps are there. */
static int open_entry(struct tar_stream *t, struct err *err)
{
	const char *wrong = NULL;
	int rc;

	t->padding = -t->stored % TAR_BLOCK;
	t->stored -= t->sparse.map_bytes;
	t->item.size = t->item.kind == TAR_KIND_REGULAR ? real_size(t) : 0;
	t->item.is_sparse = t->sparse.form != TAR_SPARSE_NONE;
	t->item.pieces = t->sparse.pieces;
	t->item.n_pieces = t->sparse.n;
	rc = check_size(t, err);
	if (rc == OK && t->item.is_sparse)
		wrong = tar_sparse_check(&t->sparse, t->item.size, t->stored);
	if (wrong)
		return fail_tar(t, wrong, err);
	if (rc == OK)
		rc = t->sink.begin(t->sink.arg, &t->item, err);
	t->left = t->stored;
	t->state = IN_DATA;
	return rc == OK && !t->left ? end_entry(t, err) : rc;
}

static int take_map(struct tar_stream *t, const uint8_t *block, struct err *err)
{
	const char *wrong = tar_sparse_take_block(&t->sparse, block);

	if (!wrong && t->sparse.map_bytes > t->stored)
		wrong = "sparse file with a map past its data";
	if (wrong)
		return fail_tar(t, wrong, err);
	return tar_sparse_wants_block(&t->sparse) ? OK : open_entry(t, err);
}

static int describe(struct tar_stream *t, struct err *err)
{
	const char *wrong;
	int rc = find_kind(t, err);

	if (rc == OK)
		rc = name_entry(t, err);
	if (rc == OK)
		rc = name_target(t, err);
	if (rc != OK)
		return rc;
	t->item.at = t->at;
	t->item.pax = buf_bytes(&t->contents[TAR_RECORDS]);
	wrong = tar_attributes_read(t->header, t->item.pax, &t->item.attributes);
	if (!wrong)
		wrong = tar_sparse_begin(&t->sparse, &t->entry, t->header, t->item.pax);
	if (!wrong && t->sparse.form != TAR_SPARSE_NONE && t->item.kind != TAR_KIND_REGULAR)
		wrong = "sparse file that is no file";
	return wrong ? fail_tar(t, wrong, err) : OK;
}

static int begin_entry(struct tar_stream *t, const uint8_t *block, struct err *err)
{
	int rc;

	if (t->entries == t->max_entries)
		return fail(err, E_LIMIT, "layer has more than %" PRIu64 " entries", t->max_entries);
	t->entries++;
	memcpy(t->header, block, TAR_BLOCK);
	t->stored = tar_entry_stored(&t->entry);
	rc = describe(t, err);
	if (rc != OK)
		return rc;
	t->state = IN_MAP;
	return tar_sparse_wants_block(&t->sparse) ? OK : open_entry(t, err);
}

/* ---- blocks --------------------------------------------------------------------- */

static int take_header(struct tar_stream *t, const uint8_t *block, struct err *err)
{
	const char *wrong;

	t->at = t->offset - TAR_BLOCK;
	if (tar_block_is_zero(block)) {
		t->state = AT_SECOND_ZERO;
		return OK;
	}
	wrong = tar_header_read(block, &t->entry.header);
	if (wrong)
		return fail_tar(t, wrong, err);
	return tar_entry_is_extended(&t->entry) ? begin_extended(t, err) : begin_entry(t, block, err);
}

static int take_block(struct tar_stream *t, const uint8_t *block, struct err *err)
{
	switch (t->state) {
	case IN_MAP:
		return take_map(t, block, err);
	case AT_SECOND_ZERO:
		t->at = t->offset - TAR_BLOCK;
		if (!tar_block_is_zero(block))
			return fail_tar(t, "header after a single zero block", err);
		t->state = AT_END;
		return OK;
	default:
		return take_header(t, block, err);
	}
}

/* The next block of `data`, or what there is of it. */
static int gather_block(struct tar_stream *t, const uint8_t *data, size_t len, size_t *ret_taken, struct err *err)
{
	const uint8_t *block = data;
	size_t n = TAR_BLOCK;

	if (t->partial_len || len < TAR_BLOCK) {
		n = min_size(TAR_BLOCK - t->partial_len, len);
		memcpy(t->partial + t->partial_len, data, n);
		t->partial_len += n;
		block = t->partial;
	}
	*ret_taken = n;
	t->offset += n;
	if (t->partial_len && t->partial_len < TAR_BLOCK)
		return OK;
	t->partial_len = 0;
	return take_block(t, block, err);
}

static int take_data(struct tar_stream *t, const uint8_t *data, size_t len, struct err *err)
{
	int rc = t->sink.data(t->sink.arg, data, len, err);

	t->left -= len;
	return rc == OK && !t->left ? end_entry(t, err) : rc;
}

static int take_some(struct tar_stream *t, const uint8_t *data, size_t len, size_t *ret_taken, struct err *err)
{
	size_t n = min_size(t->left, len);

	if (t->state == AT_END)
		n = len;
	else if (t->state != IN_EXTENDED && t->state != IN_DATA && t->state != IN_PADDING)
		return gather_block(t, data, len, ret_taken, err);
	*ret_taken = n;
	t->offset += n;
	switch (t->state) {
	case IN_EXTENDED:
		return collect(t, data, n, err);
	case IN_DATA:
		return take_data(t, data, n, err);
	case IN_PADDING:
		skip_to(t, IN_PADDING, t->left - n);
		return OK;
	default:
		return OK;
	}
}

int tar_stream_feed(struct tar_stream *t, const uint8_t *data, size_t len, struct err *err)
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

int tar_stream_finish(struct tar_stream *t, struct err *err)
{
	/* Some writers leave out the padding of the last file. */
	bool at_border = t->state == AT_HEADER || t->state == AT_SECOND_ZERO || t->state == AT_END;
	bool only_padding_is_missing = t->state == IN_PADDING && !t->run;

	if (!t->partial_len && (at_border || only_padding_is_missing))
		return OK;
	return fail(err, E_BAD_CONTENT, "layer is not a sound tar: it ends in the middle of an entry, at byte %" PRIu64,
		    t->offset);
}
