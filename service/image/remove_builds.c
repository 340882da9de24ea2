/* RemoveBuilds. */
#include "service/image/convert.h"
#include "service/image/image_service.h"
#include "store/cache/build_log.h"

enum { REMOVED_MAX = 100000, NAMES_MAX = 10000, RECORD_ARENA = 1024 * 1024 };

struct ended {
	struct arena *arena;
	char **ids;
	size_t n;
	bool failed;
};

static bool add_ended(void *arg, const Imaged__Store__V1__BuildRecord *record)
{
	struct ended *e = arg;

	if (record->state == IMAGED__V1__BUILD_INFO__STATE__STATE_RUNNING)
		return true;
	e->ids[e->n] = arena_string(e->arena, record->id);
	e->failed = !e->ids[e->n];
	return !e->failed && ++e->n < REMOVED_MAX;
}

/* All of them are found before the first goes, as ^N counts those that are there. */
static int find_ids(struct store *s, const Imaged__V1__RemoveBuildsRequest *request, struct ended *e, struct err *err)
{
	for (size_t i = 0; i < request->n_ids; i++) {
		CLEANUP(arena_free) struct arena arena;
		Imaged__Store__V1__BuildRecord *record;
		int r;

		arena_init(&arena, RECORD_ARENA);
		if (!*request->ids[i])
			return fail(err, E_INVALID, "an ID is empty");
		r = build_record_get(s, request->ids[i], &arena, &record, err);
		if (r != OK)
			return r;
		e->ids[e->n] = arena_string(e->arena, record->id);
		if (!e->ids[e->n++])
			return fail_nomem(err);
	}
	return OK;
}

static int find_all(struct store *s, struct ended *e, struct err *err)
{
	int r = build_records_each(s, "", add_ended, e, err);

	return r == OK && e->failed ? fail_nomem(err) : r;
}

int remove_builds(void *self, struct rpc_call *call, const Imaged__V1__RemoveBuildsRequest *request,
		  Imaged__V1__RemoveBuildsResponse *response, struct err *err)
{
	struct image_service *service = self;
	struct ended e = { .arena = NULL };
	int r;

	if (request->n_ids > NAMES_MAX)
		return fail(err, E_INVALID, "more than %d builds are named", NAMES_MAX);
	if (answer_arena(call, &e.arena, err) < 0)
		return err->code;
	e.ids = arena_array(e.arena, request->all ? REMOVED_MAX : request->n_ids + 1, sizeof *e.ids);
	if (!e.ids)
		return fail_nomem(err);
	r = request->all ? find_all(service->store, &e, err) : find_ids(service->store, request, &e, err);
	for (size_t i = 0; r == OK && i < e.n; i++) {
		r = build_record_remove(service->store, e.ids[i], err);
		if (r == E_NOT_FOUND) /* somebody else did, or it was named twice */
			r = OK;
	}
	response->removed = e.ids;
	response->n_removed = r == OK ? e.n : 0;
	return r;
}
