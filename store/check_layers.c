/* store_check(): images of layers. */
#include <sys/stat.h>

#include "store/check_run.h"
#include "store/internal.h"
#include "store/meta/scan.h"
#include "store/record.h"

/* ---- report ---------------------------------------------------------------- */

/* Unless the record went, or is another one, meanwhile. */
static int report(struct checking *w, enum finding_kind kind, const struct layer_image_entry *entry, const char *detail,
		  struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { 0 };
	struct key k = key_layer_image(&entry->diff_id, entry->facts.writer_version);
	struct finding f = {
		.kind = kind,
		.digest = entry->diff_id,
		.detail = detail,
		.size = entry->facts.image_size,
		.media_type = "",
		.layer_image = entry,
	};
	uint64_t revision;
	int r = record_revision(w->store->local, &k, &revision, err);

	if (r == E_NOT_FOUND || (r == OK && revision != entry->revision) || !w->c->finding)
		return OK;
	arena_init(&arena, CHECK_ARENA);
	if (r == OK)
		r = check_describe_layer(w->store, &entry->diff_id, &arena, &f, err);
	if (r != OK)
		return r;
	r = w->c->finding(w->c->arg, &f);
	return r < 0 ? visit_failed(err, r, "the check was ended") : OK;
}

/* ---- one image --------------------------------------------------------------- */

static int tell_bytes(void *arg, size_t bytes, struct err *err)
{
	struct checking *w = arg;

	w->progress.layer_bytes_checked += (int64_t)bytes;
	return check_tell_progress(w, err);
}

static int look_into(struct checking *w, const struct layer_image_entry *entry, int fd, struct err *err)
{
	const struct check_step step = { tell_bytes, w };
	struct err damage = ERR_INIT;
	int r = w->c->look_into ? w->c->look_into(w->c->arg, entry, fd, &step, &damage) : OK;

	if (r == E_CORRUPT)
		return report(w, FINDING_LAYER_IMAGE_DAMAGED, entry, damage.text, err);
	if (r != OK && err) /* with what else it says, of a disk that is full */
		*err = damage;
	return r;
}

static int check_file(struct checking *w, const struct layer_image_entry *entry, struct err *err)
{
	struct layer_image_facts facts;
	CLEANUP(closep) int fd = -1;
	char detail[128];
	struct stat st;
	int r = layer_image_open(w->store, &entry->diff_id, entry->facts.writer_version, &fd, &facts, err);

	if (r == E_NOT_FOUND)
		return report(w, FINDING_LAYER_IMAGE_MISSING, entry, "it is on record and there is no such file", err);
	if (r != OK)
		return r;
	if (fstat(fd, &st))
		return fail_errno(err, "look at a layer's image");
	if (st.st_size == entry->facts.image_size)
		return look_into(w, entry, fd, err);
	snprintf(detail, sizeof detail, "%lld bytes instead of %lld", (long long)st.st_size,
		 (long long)entry->facts.image_size);
	return report(w, FINDING_LAYER_IMAGE_DAMAGED, entry, detail, err);
}

static int check_entry(struct checking *w, const struct key *k, struct err *err)
{
	struct layer_image_entry entry;
	struct digest diff_id;
	uint32_t version;
	int r;

	if (!key_parse_layer_image(key_bytes(k), &diff_id, &version))
		return OK;
	r = layer_image_entry(w->store, &diff_id, version, &entry, err);
	if (r == E_NOT_FOUND)
		return OK;
	if (r == E_CORRUPT)
		return check_report(w, FINDING_RECORD_BROKEN, &diff_id, "the record of a layer's image cannot be read",
				    err);
	if (r != OK)
		return r;
	r = check_file(w, &entry, err);
	w->progress.layer_images_checked++;
	return r == OK ? check_tell_progress(w, err) : r;
}

/* ---- all of them --------------------------------------------------------------- */

int check_layers(struct checking *w, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_layer_image_prefix(NULL);
	const struct key *k;
	int r;

	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, w->store->local, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k) {
		r = cancel_check(w->c->cancel, err);
		if (r == OK)
			r = check_entry(w, k, err);
		if (r != OK)
			return r;
	}
	return r;
}
