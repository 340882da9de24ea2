#include "store/contexts/context_files.h"

#include <sys/mman.h>
#include <sys/stat.h>

static const char kind[] = "places";

static struct context_files *new_files(void)
{
	struct context_files *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	f->file = (struct context_file)CONTEXT_FILE_INIT;
	pthread_mutex_init(&f->mu, NULL);
	atomic_init(&f->refs, 1);
	return f;
}

static size_t places_bytes(const struct context_files *f)
{
	return (size_t)context_list_count(f->list) * sizeof *f->places;
}

static int map_places(struct context_files *f, struct err *err)
{
	const void *map;
	int r;

	if (!places_bytes(f))
		return OK;
	r = context_file_map(&f->file, places_bytes(f), &map, err);
	if (r == OK)
		f->places = map;
	return r;
}

/* ---- new ---------------------------------------------------------------------------- */

/* More of the pack is garbage than what is left of it. */
static bool is_wasteful(const struct context_files *f)
{
	const uint64_t garbage_min = 64 << 20;
	uint64_t end = context_pack_end(f->pack);

	return end - f->live > garbage_min && end - f->live > f->live;
}

static int choose_pack(struct store *s, const char *directory, struct context_files *f, struct context_files *before,
		       struct err *err)
{
	bool wasteful = false;

	if (before) {
		pthread_mutex_lock(&before->mu);
		wasteful = is_wasteful(before);
		pthread_mutex_unlock(&before->mu);
	}
	if (!before || wasteful)
		return context_pack_create(s, directory, &f->pack, err);
	f->pack = context_pack_ref(before->pack);
	return OK;
}

/* Takes the list. */
static int create(struct store *s, const char *directory, struct context_list *list, struct context_files **ret_files,
		  struct err *err)
{
	CLEANUP(context_list_unrefp) struct context_list *taken = list;
	CLEANUP(context_files_unrefp) struct context_files *f = new_files();
	int r;

	if (!f)
		return fail_nomem(err);
	f->list = TAKE(taken);
	f->changed = true;
	r = context_file_create(s, directory, kind, &f->file, err);
	if (r == OK && ftruncate(f->file.fd, (off_t)places_bytes(f)))
		r = store_fail_errno(s, (int64_t)places_bytes(f), err, "make room for a context's places");
	if (r == OK)
		r = map_places(f, err);
	if (r == OK)
		*ret_files = TAKE(f);
	return r;
}

int context_files_new(struct store *s, const char *directory, struct context_list *list, struct context_files *before,
		      struct context_files **ret_files, struct err *err)
{
	CLEANUP(context_files_unrefp) struct context_files *f = NULL;
	int r = create(s, directory, list, &f, err);

	if (r == OK)
		r = choose_pack(s, directory, f, before, err);
	if (r == OK && before)
		r = context_files_carry(before, f, err);
	if (r == OK)
		*ret_files = TAKE(f);
	return r;
}

int context_files_of_pack(struct store *s, struct context_list *list, struct context_pack *pack,
			  struct context_files **ret_files, struct err *err)
{
	CLEANUP(context_pack_unrefp) struct context_pack *taken = pack;
	CLEANUP(context_files_unrefp) struct context_files *f = NULL;
	int r = create(s, NULL, list, &f, err);

	if (r != OK)
		return r;
	f->pack = TAKE(taken);
	*ret_files = TAKE(f);
	return OK;
}

/* ---- open --------------------------------------------------------------------------- */

/* A build that was killed may have written places of bytes that are not there. */
static bool is_sound(const struct context_files *f, uint32_t i)
{
	const struct context_place *p = &f->places[i];
	uint64_t size = (uint64_t)context_list_entry(f->list, i).size, end = f->pack->end;

	return p->offset <= end && size <= end - p->offset && p->xattrs_at <= end &&
	       p->xattrs_len <= end - p->xattrs_at;
}

static int count_known(struct context_files *f, struct err *err)
{
	static const struct context_place none;
	uint32_t n = context_list_count(f->list);
	int r = OK;

	for (uint32_t i = 0; r == OK && i < n; i++) {
		if (!(f->places[i].flags & CONTEXT_KNOWN))
			continue;
		if (!is_sound(f, i)) {
			r = context_file_write(&f->file, &none, sizeof none, (uint64_t)i * sizeof none, err);
			continue;
		}
		f->live += (uint64_t)context_list_entry(f->list, i).size;
		f->has_unsettled |= f->places[i].flags & CONTEXT_UNSETTLED;
	}
	return r;
}

int context_files_open(struct store *s, const char *directory, uint64_t number, struct context_list *list,
		       struct context_pack *pack, struct context_files **ret_files, struct err *err)
{
	CLEANUP(context_list_unrefp) struct context_list *taken_list = list;
	CLEANUP(context_pack_unrefp) struct context_pack *taken_pack = pack;
	CLEANUP(context_files_unrefp) struct context_files *f = new_files();
	int64_t size;
	int r;

	if (!f)
		return fail_nomem(err);
	f->list = TAKE(taken_list);
	f->pack = TAKE(taken_pack);
	r = context_file_open(s, directory, kind, number, &f->file, err);
	if (r == OK)
		r = context_file_size(&f->file, &size, err);
	if (r == OK && size != (int64_t)places_bytes(f))
		r = fail(err, E_CORRUPT, "the places of a build context's files are damaged");
	if (r == OK)
		r = map_places(f, err);
	if (r == OK)
		r = count_known(f, err);
	if (r == OK)
		*ret_files = TAKE(f);
	return r;
}

struct context_files *context_files_ref(struct context_files *f)
{
	atomic_fetch_add(&f->refs, 1);
	return f;
}

void context_files_unref(struct context_files *f)
{
	if (!f || atomic_fetch_sub(&f->refs, 1) != 1)
		return;
	if (f->places)
		munmap((void *)f->places, places_bytes(f));
	context_file_close(&f->file);
	context_pack_unref(f->pack);
	context_list_unref(f->list);
	pthread_mutex_destroy(&f->mu);
	free(f);
}

void context_files_unrefp(struct context_files **f)
{
	context_files_unref(*f);
}

/* ---- places --------------------------------------------------------------------------- */

bool context_files_get(struct context_files *f, uint32_t index, struct context_place *ret_place)
{
	uint32_t source = context_list_source(f->list, index);

	pthread_mutex_lock(&f->mu);
	*ret_place = f->places[source];
	pthread_mutex_unlock(&f->mu);
	return ret_place->flags & CONTEXT_KNOWN;
}

/* How many from `index` on are not known. */
static size_t unknown_run(const struct context_files *f, uint32_t index, size_t n)
{
	size_t run = 0;

	while (run < n && !(f->places[index + run].flags & CONTEXT_KNOWN))
		run++;
	return run;
}

static int write_places(struct context_files *f, uint32_t index, const struct context_place *places, size_t n,
			struct err *err)
{
	int r = context_file_write(&f->file, places, n * sizeof *places, (uint64_t)index * sizeof *places, err);

	if (r != OK)
		return r;
	f->changed = true;
	for (size_t i = 0; i < n; i++) {
		f->live += (uint64_t)context_list_entry(f->list, index + (uint32_t)i).size;
		f->has_unsettled |= places[i].flags & CONTEXT_UNSETTLED;
	}
	return OK;
}

/* Under the lock, though it writes: a few kilobytes into the page cache, which readers of the
 * same places must not see half of. */
int context_files_put(struct context_files *f, uint32_t index, const struct context_place *places, size_t n,
		      struct err *err)
{
	int r = OK;

	pthread_mutex_lock(&f->mu);
	while (r == OK && n) {
		size_t run = unknown_run(f, index, n), step = run ? run : 1;

		if (run)
			r = write_places(f, index, places, run, err);
		index += (uint32_t)step;
		places += step;
		n -= step;
	}
	pthread_mutex_unlock(&f->mu);
	return r;
}
