/* What an archive holds. */
#include "service/image/load.h"
#include "store/types/descriptor.h"

/* ---- members --------------------------------------------------------------- */

static void member_free(struct load_member *m)
{
	free(m->name);
	free(m->target);
	free(m);
}

void load_forget_members(struct load *l)
{
	struct load_member *m, *next;

	for (m = l->members; m; m = next) {
		next = m->hh.next;
		HASH_DEL(l->members, m);
		member_free(m);
	}
}

static struct load_member *find_here(struct load *l, const char *name)
{
	struct load_member *m;

	HASH_FIND_STR(l->members, name, m);
	return m;
}

struct load_member *load_find(struct load *l, const char *name)
{
	struct load_member *m = find_here(l, name);

	for (int i = 0; m && m->target; i++)
		m = i < LOAD_LINKS_MAX ? find_here(l, m->target) : NULL;
	return m;
}

static size_t names_of(const struct load_member *m)
{
	return strlen(m->name) + (m->target ? strlen(m->target) : 0);
}

/* The last of one name counts, as where an archive is unpacked. */
static int add_member(struct load *l, struct load_member *m, struct err *err)
{
	struct load_member *old = find_here(l, m->name);

	l->n_came++;
	if (old) {
		HASH_DEL(l->members, old);
		l->names_bytes -= names_of(old);
		member_free(old);
	}
	l->names_bytes += names_of(m);
	if (l->n_came > LOAD_MEMBERS_MAX || l->names_bytes > LOAD_NAMES_BYTES_MAX) {
		member_free(m);
		return fail(err, E_LIMIT, "the archive has more than %d members, or their names are too long",
			    LOAD_MEMBERS_MAX);
	}
	HASH_ADD_KEYPTR(hh, l->members, m->name, strlen(m->name), m);
	if (HASH_ADDED(m))
		return OK;
	member_free(m);
	return fail_nomem(err);
}

enum { NAME_SHOWN_MAX = 300 };

/* ---- what is told of names ------------------------------------------------- */

/* The directory that docker would have unpacked it into. */
static void archive_path(const struct load *l, char out[LOAD_PATH_MAX])
{
	snprintf(out, LOAD_PATH_MAX, "%s/tmp/docker-import-%u", store_root(l->service->store), l->number);
}

char *load_member_path(const struct load *l, const char *name, char out[LOAD_PATH_MAX])
{
	size_t len;

	archive_path(l, out);
	len = strlen(out);
	snprintf(out + len, LOAD_PATH_MAX - len, "/%s", name);
	return out;
}

int load_fail_missing(const struct load *l, const char *name, struct err *err)
{
	char path[LOAD_PATH_MAX], shown[NAME_SHOWN_MAX];

	return fail(err, E_BAD_CONTENT, "open %s: no such file or directory",
		    load_member_path(l, printable_text(name, shown, sizeof shown), path));
}

int load_clean_name(const struct load *l, const char *text, char ret_name[MEMBER_NAME_ROOM], struct err *err)
{
	char base[LOAD_PATH_MAX], path[LOAD_PATH_MAX], shown[NAME_SHOWN_MAX];
	size_t above;

	if (member_name_clean(bytes_of(text), ret_name, &above, err) < 0)
		return err ? err->code : E_BAD_CONTENT;
	if (!above)
		return OK;
	archive_path(l, base);
	archive_path(l, path);
	for (; above && strrchr(path, '/'); above--)
		*strrchr(path, '/') = 0;
	return fail(err, E_BAD_CONTENT, "evalSymlinksInScope: %s/%s is not in %s", path,
		    printable_text(ret_name, shown, sizeof shown), base);
}

/* ---- bytes ----------------------------------------------------------------- */

/* A member on its way. */
struct coming {
	struct load *load;
	const struct load_member *member;
	const struct digest *diff_id; /* NULL: nobody is told */
	struct ingest *ingest;
	int64_t offset;
	struct pace pace;
};

static int into_ingest(void *coming, struct bytes data, struct err *err)
{
	struct coming *c = coming;

	if (ingest_write(c->ingest, data.data, data.len, err) < 0)
		return err->code;
	c->offset += (int64_t)data.len;
	if (!c->diff_id || c->offset == c->member->size || !pace_is_due(&c->pace, c->offset))
		return OK;
	return load_tell_layer(c->load, c->diff_id, c->offset, c->member->size, err);
}

/* "blobs/ALGORITHM/HEX": what the member says its digest is. */
static bool named_digest(const char *name, struct digest *ret_digest)
{
	char text[DIGEST_TEXT_MAX];
	const char *slash;

	if (strncmp(name, "blobs/", 6) != 0)
		return false;
	name += 6;
	slash = strchr(name, '/');
	if (!slash || strlen(name) >= sizeof text)
		return false;
	snprintf(text, sizeof text, "%.*s:%s", (int)(slash - name), name, slash + 1);
	return digest_parse(text, ret_digest, NULL) == OK;
}

static int fail_named(const struct load_member *m, const struct digest *found, struct err *err)
{
	char text[DIGEST_TEXT_MAX];

	return fail(err, E_DIGEST_MISMATCH, "archive member %s has the digest %s", m->name, digest_text(found, text));
}

/* In docker's words, whose process that unpacks is another one, too. */
static int fail_tar(const char *why, struct err *err)
{
	return fail(err, E_BAD_CONTENT, "Error processing tar file(exit status 1): %s", why);
}

static int fail_source(int code, struct err *err)
{
	return code == E_BAD_CONTENT ? err_wrap(err, "Error processing tar file(exit status 1)") : code;
}

static int copy(struct load *l, struct load_member *m, enum digest_algorithm algorithm, const struct digest *diff_id,
		struct digest *ret_digest, struct ingest **ret_ingest, struct err *err)
{
	CLEANUP(ingest_unrefp) struct ingest *ingest = NULL;
	struct coming coming = { .load = l, .member = m, .diff_id = diff_id };
	int r = store_reserve(l->service->store, m->size, err);

	if (r == OK)
		r = ingest_open_unnamed(l->service->store, algorithm, &ingest, err);
	coming.ingest = ingest;
	if (r == OK && diff_id)
		r = load_tell_layer(l, diff_id, 0, m->size, err);
	if (r == OK)
		r = archive_source_copy(&l->source, m->offset, m->size, into_ingest, &coming, err);
	if (r == E_BAD_CONTENT)
		return fail_source(r, err);
	if (r == OK)
		r = ingest_name(ingest, ret_digest, err);
	if (r != OK)
		return err_wrap(err, "archive member %s", m->name);
	*ret_ingest = TAKE(ingest);
	return OK;
}

int load_bring(struct load *l, struct load_member *m, const struct digest *diff_id, struct err *err)
{
	struct ingest *ingest = NULL;
	struct digest wanted, found;
	bool is_named = named_digest(m->name, &wanted);
	int64_t size = 0;
	int r;

	if (m->blob)
		return OK;
	/* What is here need not be read; but a document that comes in order cannot be had again
	 * when somebody removes it before it is claimed. */
	if (is_named && (archive_source_seeks(&l->source) || m->size > LOAD_SPARE_MAX) &&
	    content_exists(l->service->store, &wanted, &size) && size == m->size) {
		found = wanted;
	} else {
		r = copy(l, m, is_named ? (enum digest_algorithm)wanted.algorithm : DIGEST_SHA256, diff_id, &found,
			 &ingest, err);
		if (r != OK)
			return r;
	}
	if (is_named && !digest_eq(&wanted, &found)) {
		ingest_unref(ingest);
		return fail_named(m, &found, err);
	}
	if (load_blob_add(l, &found, m->size, ingest, &m->blob, err) < 0)
		return err->code;
	m->blob->told = m->blob->told || (ingest && diff_id);
	return OK;
}

static int into_buf(void *buf, struct bytes data, struct err *err)
{
	return buf_append(buf, data.data, data.len) ? OK : fail_nomem(err);
}

int load_account_document(struct load *l, int64_t size, struct err *err)
{
	l->documents_bytes += size;
	if (l->documents_bytes > LOAD_DOCUMENTS_BYTES_MAX)
		return fail(err, E_LIMIT, "to read the archive's indexes and configurations takes more than %d bytes",
			    LOAD_DOCUMENTS_BYTES_MAX);
	return OK;
}

int load_read_member(struct load *l, struct load_member *m, struct buf *out, struct err *err)
{
	if (m->size > (int64_t)out->max)
		return fail(err, E_LIMIT, "archive member %s has %lld bytes; at most %zu are read", m->name,
			    (long long)m->size, out->max);
	if (m->blob)
		return load_blob_read(l, m->blob, out, err);
	if (load_account_document(l, m->size, err) < 0)
		return err->code;
	return fail_source(archive_source_copy(&l->source, m->offset, m->size, into_buf, out, err), err);
}

/* ---- the walk -------------------------------------------------------------- */

static int take_file(struct load *l, struct load_member *m, struct err *err)
{
	int r = add_member(l, m, err);

	/* In order it is now or never. */
	return r == OK && !archive_source_seeks(&l->source) ? load_bring(l, m, NULL, err) : r;
}

/* Names as keys; of a link, where it leads. */
static int take_names(struct load_member *m, const struct tar_step *step, struct err *err)
{
	char name[MEMBER_NAME_ROOM], target[MEMBER_NAME_ROOM] = "";
	int r = member_name_normalize(bytes_of(step->name), name, err);

	if (r == OK && step->kind == TAR_ENTRY_SYMLINK)
		r = member_name_resolve(name, bytes_of(step->link), target, err);
	if (r == OK && step->kind == TAR_ENTRY_HARDLINK)
		r = member_name_normalize(bytes_of(step->link), target, err);
	if (r != OK)
		return r;
	m->name = strdup(name);
	m->target = *target ? strdup(target) : NULL;
	return m->name && (m->target || !*target) ? OK : fail_nomem(err);
}

static int take_entry(struct load *l, const struct tar_step *step, struct err *err)
{
	struct load_member *m;
	int r;

	if (step->kind != TAR_ENTRY_REGULAR && step->kind != TAR_ENTRY_SYMLINK && step->kind != TAR_ENTRY_HARDLINK)
		return OK;
	m = calloc(1, sizeof *m);
	if (!m)
		return fail_nomem(err);
	r = take_names(m, step, err);
	if (r != OK) {
		member_free(m);
		return r;
	}
	m->offset = (int64_t)step->data_offset;
	m->size = (int64_t)step->size;
	return step->kind == TAR_ENTRY_REGULAR ? take_file(l, m, err) : add_member(l, m, err);
}

static int ignore(void *arg, struct bytes data, struct err *err)
{
	(void)arg;
	(void)data;
	(void)err;
	return OK;
}

/* What comes in order is read to its end: a compression is not sound before that, and
 * who writes into the pipe must not be cut off. */
static int finish(struct load *l, struct err *err)
{
	if (archive_source_seeks(&l->source))
		return OK;
	return fail_source(archive_source_drain(&l->source, ignore, NULL, err), err);
}

/* The archive has no block at `at`. Docker takes nothing for an archive of nothing. */
static int end(struct load *l, const struct tar_walk *w, uint64_t at, struct err *err)
{
	int64_t size = archive_source_end(&l->source);
	int r = size || at ? tar_walk_end(w, (uint64_t)size, err) : OK;

	return r == E_BAD_CONTENT ? fail_tar("unexpected EOF", err) : r;
}

static bool has_magic(const uint8_t *block)
{
	enum { MAGIC_AT = 257 };

	return !memcmp(block + MAGIC_AT, "ustar", 5);
}

/* Of what is no tar at all there is no more to tell than docker does. */
static int look(struct load *l, struct tar_walk *w, const uint8_t *block, uint64_t at, struct tar_step *ret_step,
		struct err *err)
{
	int r = tar_walk_block(w, block, at, l->cancel, ret_step, err);

	if (r == E_BAD_CONTENT && !at && !has_magic(block))
		return fail_tar("archive/tar: invalid tar header", err);
	return fail_source(r, err);
}

static int walk(struct load *l, struct tar_walk *w, struct err *err)
{
	struct tar_step step = { .next = 0 };
	uint8_t block[ARCHIVE_BLOCK_BYTES];
	uint64_t at = 0;
	size_t len;
	int r;

	do {
		r = fail_source(archive_source_block(&l->source, (int64_t)at, block, &len, err), err);
		if (r == OK && len < sizeof block)
			return end(l, w, at, err);
		if (r == OK)
			r = look(l, w, block, at, &step, err);
		if (r == OK && step.type == TAR_STEP_ENTRY)
			r = take_entry(l, &step, err);
		at = step.next;
	} while (r == OK && step.type != TAR_STEP_END);
	return r == OK ? finish(l, err) : r;
}

int load_scan(struct load *l, struct err *err)
{
	CLEANUP(tar_walk_freep) struct tar_walk *w = NULL;
	struct layer_policy policy = layer_policy_default();

	if (tar_walk_new(l->service->worker_program, &policy, &w, err) < 0)
		return err->code;
	return walk(l, w, err);
}
