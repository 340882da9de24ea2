#include "service/layer/tar_members.h"

#include <inttypes.h>

_Static_assert((int)TAR_BLOCK == (int)WALK_BLOCK_BYTES, "both are tar's");

void tar_members_init(struct tar_members *t)
{
	memset(t, 0, sizeof *t);
	t->extended = (struct buf)BUF_INIT(TAR_EXTENDED_MAX);
	tar_entry_begin(&t->entry);
}

void tar_members_free(struct tar_members *t)
{
	buf_free(&t->extended);
}

static int fail_tar(const struct tar_members *t, int code, const char *what, struct err *err)
{
	const char *claim = code == E_UNSUPPORTED ? "has a" : "is not a sound tar:";

	return fail(err, code, "archive %s %s at byte %" PRIu64, claim, what, t->at);
}

static int need_next(struct tar_members *t, bool may_end, struct walk_answer *a)
{
	a->type = WALK_NEED;
	a->kind = may_end;
	a->next = t->next;
	return OK;
}

/* ---- names -------------------------------------------------------------------- */

/* Bytes without a NUL. */
static int set_name(struct tar_members *t, struct tar_name *name, struct bytes value, struct err *err)
{
	if (value.len > sizeof name->text)
		return fail_tar(t, E_BAD_CONTENT, "name that is too long", err);
	if (value.len && memchr(value.data, 0, value.len))
		return fail_tar(t, E_BAD_CONTENT, "name with a NUL in it", err);
	if (value.len)
		memcpy(name->text, value.data, value.len);
	name->len = value.len;
	return OK;
}

/* GNU's are ended by a NUL, and filled up with more of them by some. */
static int set_long_name(struct tar_members *t, struct tar_name *name, struct bytes content, struct err *err)
{
	while (content.len && !content.data[content.len - 1])
		content.len--;
	return set_name(t, name, content, err);
}

/* The one of the two that counts, or NULL. */
static int choose_name(struct tar_members *t, const struct tar_name *pax, const struct tar_name *gnu,
		       const struct tar_name **ret_name, struct err *err)
{
	bool same = pax->len == gnu->len && !memcmp(pax->text, gnu->text, pax->len);

	if (pax->len && gnu->len && !same)
		return fail_tar(t, E_BAD_CONTENT, "entry with two names", err);
	*ret_name = pax->len ? pax : gnu->len ? gnu : NULL;
	return OK;
}

static int name_entry(struct tar_members *t, const uint8_t *block, char *out, struct err *err)
{
	const struct tar_name *name = NULL;
	int rc = choose_name(t, &t->path, &t->long_path, &name, err);

	if (rc != OK)
		return rc;
	if (name)
		memcpy(out, name->text, name->len);
	else
		tar_header_name(block, out);
	return OK;
}

static int name_target(struct tar_members *t, const uint8_t *block, char *out, struct err *err)
{
	const struct tar_name *name = NULL;
	struct bytes target = tar_header_link(block);
	int rc = choose_name(t, &t->link, &t->long_link, &name, err);

	if (rc != OK)
		return rc;
	if (name)
		memcpy(out, name->text, name->len);
	else
		memcpy(out, target.data, target.len);
	return OK;
}

/* ---- extended headers --------------------------------------------------------- */

static int keep_names(struct tar_members *t, struct bytes content, struct err *err)
{
	int rc;

	switch (t->entry.header.type) {
	case TAR_PAX:
		rc = set_name(t, &t->path, t->entry.pax.path, err);
		return rc == OK ? set_name(t, &t->link, t->entry.pax.link, err) : rc;
	case TAR_GNU_LONG_NAME:
		return set_long_name(t, &t->long_path, content, err);
	case TAR_GNU_LONG_LINK:
		return set_long_name(t, &t->long_link, content, err);
	default: /* global: for nobody */
		return OK;
	}
}

static int take_extended(struct tar_members *t, struct walk_answer *a, struct err *err)
{
	struct bytes content = { (const uint8_t *)buf_text(&t->extended), (size_t)t->entry.header.size };
	const char *wrong = tar_entry_take_extended(&t->entry, content);
	int rc = wrong ? fail_tar(t, E_BAD_CONTENT, wrong, err) : keep_names(t, content, err);

	t->state = TAR_MEMBERS_HEADER;
	return rc == OK ? need_next(t, false, a) : rc;
}

static int begin_extended(struct tar_members *t, struct walk_answer *a, struct err *err)
{
	uint64_t size = (uint64_t)t->entry.header.size;

	if (size > TAR_EXTENDED_MAX - TAR_BLOCK)
		return fail_tar(t, E_BAD_CONTENT, "extended header that is too long", err);
	if (++t->run > TAR_EXTENDED_RUN)
		return fail_tar(t, E_BAD_CONTENT, "entry with too many extended headers", err);
	buf_reset(&t->extended);
	t->left = size + -size % TAR_BLOCK;
	if (!t->left)
		return take_extended(t, a, err);
	t->state = TAR_MEMBERS_EXTENDED;
	return need_next(t, false, a);
}

static int collect(struct tar_members *t, const uint8_t *block, struct walk_answer *a, struct err *err)
{
	if (!buf_append(&t->extended, block, TAR_BLOCK))
		return fail_nomem(err);
	t->left -= TAR_BLOCK;
	return t->left ? need_next(t, false, a) : take_extended(t, a, err);
}

/* ---- entries ------------------------------------------------------------------ */

static enum tar_entry_kind kind_of(const struct tar_entry *e)
{
	if (tar_entry_is_regular(e))
		return TAR_ENTRY_REGULAR;
	if (tar_entry_is_directory(e))
		return TAR_ENTRY_DIRECTORY;
	if (e->header.type == TAR_SYMLINK)
		return TAR_ENTRY_SYMLINK;
	return e->header.type == TAR_HARD_LINK ? TAR_ENTRY_HARDLINK : TAR_ENTRY_OTHER;
}

static int place_data(struct tar_members *t, struct walk_answer *a, struct err *err)
{
	uint64_t size = tar_entry_stored(&t->entry);

	if (t->next > walk_place_max || size > walk_place_max - t->next)
		return fail_tar(t, E_BAD_CONTENT, "entry that is too large", err);
	a->data_offset = t->next;
	a->size = size;
	a->next = t->next += size + -size % TAR_BLOCK;
	return OK;
}

static void forget_entry(struct tar_members *t)
{
	tar_entry_begin(&t->entry);
	t->run = 0;
	t->path.len = t->link.len = t->long_path.len = t->long_link.len = 0;
}

static int take_entry(struct tar_members *t, const uint8_t *block, struct walk_answer *a, struct err *err)
{
	int rc;

	if (t->entry.header.type == TAR_GNU_SPARSE || t->entry.pax.is_sparse)
		return fail_tar(t, E_UNSUPPORTED, "sparse file, which is not supported,", err);
	a->type = WALK_ENTRY;
	a->kind = kind_of(&t->entry);
	rc = name_entry(t, block, a->name, err);
	if (rc == OK && (a->kind == TAR_ENTRY_SYMLINK || a->kind == TAR_ENTRY_HARDLINK))
		rc = name_target(t, block, a->link, err);
	if (rc == OK)
		rc = place_data(t, a, err);
	forget_entry(t);
	return rc;
}

/* ---- blocks ------------------------------------------------------------------- */

/* The archive may end with one zero block. */
static int take_zero(struct tar_members *t, struct walk_answer *a, struct err *err)
{
	if (t->run)
		return fail_tar(t, E_BAD_CONTENT, "extended header without an entry", err);
	t->state = TAR_MEMBERS_SECOND_ZERO;
	return need_next(t, true, a);
}

static int take_header(struct tar_members *t, const uint8_t *block, struct walk_answer *a, struct err *err)
{
	const char *wrong;

	t->at = t->next - TAR_BLOCK;
	if (tar_block_is_zero(block))
		return take_zero(t, a, err);
	wrong = tar_header_read(block, &t->entry.header);
	if (wrong)
		return fail_tar(t, E_BAD_CONTENT, wrong, err);
	return tar_entry_is_extended(&t->entry) ? begin_extended(t, a, err) : take_entry(t, block, a, err);
}

static int take_end(struct tar_members *t, const uint8_t *block, struct walk_answer *a, struct err *err)
{
	if (!tar_block_is_zero(block))
		return fail_tar(t, E_BAD_CONTENT, "header after a single zero block", err);
	t->state = TAR_MEMBERS_OVER;
	a->type = WALK_END;
	a->next = t->next;
	return OK;
}

static int take_block(struct tar_members *t, const struct walk_request *request, struct walk_answer *a, struct err *err)
{
	if (t->state == TAR_MEMBERS_OVER || request->offset != t->next)
		return fail(err, E_WORKER, "a block that was not asked for");
	t->next += TAR_BLOCK;
	switch (t->state) {
	case TAR_MEMBERS_EXTENDED:
		return collect(t, request->block, a, err);
	case TAR_MEMBERS_SECOND_ZERO:
		return take_end(t, request->block, a, err);
	default:
		return take_header(t, request->block, a, err);
	}
}

void tar_members_take(struct tar_members *t, const struct walk_request *request, struct walk_answer *ret_answer)
{
	struct err why = ERR_INIT;

	walk_answer_init(ret_answer, WALK_NEED, request->offset);
	if (take_block(t, request, ret_answer, &why) == OK)
		return;
	t->state = TAR_MEMBERS_OVER;
	walk_answer_init(ret_answer, WALK_FAILED, request->offset);
	ret_answer->code = why.code;
	layer_text_clean(why.text, sizeof why.text, ret_answer->name, LAYER_TEXT_MAX);
}
