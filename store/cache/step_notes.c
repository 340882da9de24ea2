#include "proto/runtime/clock.h"
#include "store/cache/step_state.h"
#include "store/meta/scan.h"

enum {
	NOTE_ARENA = STEP_NOTE_MAX + 4096,
	NOTES_PER_TXN = META_TXN_BYTES / (STEP_NOTE_MAX + 1024),
};

static const int64_t day_ns = INT64_C(24) * 3600 * 1000000000;

typedef Imaged__Store__V1__NoteRecord note_record;

static int read_note(struct store *s, const struct digest *key, struct arena *arena, note_record **ret_record,
		     uint64_t *ret_revision, struct err *err)
{
	struct key k = key_note(key);
	ProtobufCMessage *m;
	int r;

	arena_init(arena, NOTE_ARENA);
	r = record_get(s->local, &k, &imaged__store__v1__note_record__descriptor, arena, &m, ret_revision, err);
	if (r == OK)
		*ret_record = (note_record *)m;
	return r;
}

/* Once a day is enough to know what is used. Should it fail, the note looks older than it is. */
static void write_use(struct store *s, const struct digest *key, note_record *record, uint64_t revision)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct key k = key_note(key);
	int64_t now = clock_wall_ns();

	if (!t || s->read_only || now - record->last_used_ns < day_ns)
		return;
	record->last_used_ns = now;
	meta_txn_compare(t, key_bytes(&k), revision);
	if (record_put(t, &k, &record->base, NULL) == OK)
		meta_txn_commit(s->local, t, NULL, NULL);
}

int step_cache_note(struct step_cache *c, const struct digest *key, struct buf *out, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	note_record *record;
	uint64_t revision;
	int r = read_note(c->store, key, &arena, &record, &revision, err);

	buf_reset(out);
	if (r == E_CORRUPT)
		return fail(err, E_NOT_FOUND, "the note is damaged");
	if (r != OK)
		return r;
	if (!buf_append(out, record->value.data, record->value.len))
		return record->value.len > out->max ? fail(err, E_LIMIT, "a note is larger than expected")
						    : fail_nomem(err);
	write_use(c->store, key, record, revision);
	return OK;
}

static int put_note(struct meta_txn *t, const struct step_note *note, int64_t now_ns, struct err *err)
{
	note_record record = IMAGED__STORE__V1__NOTE_RECORD__INIT;
	struct key k = key_note(&note->key);

	if (note->value.len > STEP_NOTE_MAX)
		return fail(err, E_LIMIT, "a note of %zu bytes is larger than the %d that are kept", note->value.len,
			    STEP_NOTE_MAX);
	record.value = (ProtobufCBinaryData){ note->value.len, (uint8_t *)note->value.data };
	record.last_used_ns = now_ns;
	return record_put(t, &k, &record.base, err);
}

int step_cache_put_notes(struct step_cache *c, const struct step_note *notes, size_t n, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	int r = t ? store_writable(c->store, err) : fail_nomem(err);

	for (size_t i = 0; r == OK && i < n; i++) {
		r = put_note(t, &notes[i], clock_wall_ns(), err);
		if (r == OK && (i + 1 == n || (i + 1) % NOTES_PER_TXN == 0))
			r = meta_txn_commit(c->store->local, t, NULL, err);
	}
	return r;
}

/* ---- those that nobody wants any more ------------------------------------------------------- */

static int drop_if_old(struct step_cache *c, const struct key *k, int64_t before_ns, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	note_record *record;
	struct digest key;
	uint64_t revision;
	int r;

	if (!t)
		return fail_nomem(err);
	if (!key_parse_note(key_bytes(k), &key))
		return OK;
	r = read_note(c->store, &key, &arena, &record, &revision, err);
	if (r == E_NOT_FOUND || (r == OK && record->last_used_ns >= before_ns))
		return OK;
	if (r != OK && r != E_CORRUPT)
		return r;
	meta_txn_use_reserve(t);
	meta_txn_compare(t, key_bytes(k), revision);
	meta_txn_delete(t, key_bytes(k));
	r = meta_txn_commit(c->store->local, t, NULL, err);
	return r == E_ABORTED ? OK : r;
}

int step_notes_prune(struct step_cache *c, int64_t oldest_ns, struct cancel *cancel, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	int64_t month_ago = clock_wall_ns() - STEP_NOTE_DAYS * day_ns;
	struct key prefix = key_note_prefix();
	const struct key *k;
	int r;

	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, c->store->local, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k) {
		r = cancel_check(cancel, err);
		if (r == OK)
			r = drop_if_old(c, k, oldest_ns < month_ago ? oldest_ns : month_ago, err);
		if (r != OK)
			return r;
	}
	return r;
}
