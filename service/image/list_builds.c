/* ListBuilds. A page's token is the ID of its last build. */
#include "service/image/convert.h"
#include "service/image/image_service.h"
#include "store/cache/build_log.h"

enum { SIZE_DEFAULT = 100, SIZE_LARGEST = 1000, BYTES_MAX = 3 * 1024 * 1024, NS_PER_S = 1000000000 };

typedef Imaged__Store__V1__BuildRecord build_record;

struct build_list {
	struct arena *arena;
	size_t limit, bytes;
	bool more, failed;
	Imaged__V1__ListBuildsResponse *response;
};

static bool copy_strings(struct arena *a, char *const *from, size_t n, char ***ret_to)
{
	char **to = arena_array(a, n + 1, sizeof *to);

	for (size_t i = 0; to && i < n; i++) {
		to[i] = arena_string(a, from[i]);
		if (!to[i])
			return false;
	}
	*ret_to = to;
	return to != NULL;
}

static bool fill_times(struct arena *a, const build_record *record, Imaged__V1__BuildInfo *m)
{
	m->started = time_message(a, record->started_ns / NS_PER_S, (int32_t)(record->started_ns % NS_PER_S));
	if (record->ended_ns)
		m->ended = time_message(a, record->ended_ns / NS_PER_S, (int32_t)(record->ended_ns % NS_PER_S));
	return m->started && (m->ended || !record->ended_ns);
}

static bool fill_texts(struct arena *a, const build_record *record, Imaged__V1__BuildInfo *m)
{
	m->id = arena_string(a, record->id);
	m->error = arena_string(a, record->error);
	m->context = arena_string(a, record->context);
	m->dockerfile = arena_string(a, record->dockerfile);
	m->target = arena_string(a, record->target);
	m->image_id = arena_string(a, record->image_id);
	m->n_platforms = record->n_platforms;
	m->n_tags = record->n_tags;
	if (!m->id || !m->error || !m->context || !m->dockerfile || !m->target || !m->image_id)
		return false;
	utf8_clean(m->error);
	return copy_strings(a, record->platforms, record->n_platforms, &m->platforms) &&
	       copy_strings(a, record->tags, record->n_tags, &m->tags);
}

static Imaged__V1__BuildInfo *info_message(struct arena *a, const build_record *record)
{
	Imaged__V1__BuildInfo *m = arena_alloc(a, sizeof *m);

	if (!m)
		return NULL;
	imaged__v1__build_info__init(m);
	if (!fill_texts(a, record, m) || !fill_times(a, record, m))
		return NULL;
	m->state = (Imaged__V1__BuildInfo__State)record->state;
	m->steps = record->steps;
	m->cached = record->cached;
	m->warnings = record->warnings;
	m->log_is_cut = record->log_is_cut;
	return m;
}

static bool add_build(void *arg, const build_record *record)
{
	struct build_list *l = arg;
	Imaged__V1__BuildInfo *m;
	size_t bytes;

	l->more = l->response->n_builds == l->limit;
	if (l->more)
		return false;
	m = info_message(l->arena, record);
	l->failed = !m;
	if (!m)
		return false;
	bytes = imaged__v1__build_info__get_packed_size(m) + 8;
	l->more = l->response->n_builds && l->bytes + bytes > BYTES_MAX;
	if (l->more)
		return false;
	l->bytes += bytes;
	l->response->builds[l->response->n_builds++] = m;
	return true;
}

static int add_one(struct build_list *l, struct store *s, const char *id, struct err *err)
{
	build_record *record;
	int r = build_record_get(s, id, l->arena, &record, err);

	if (r == OK)
		add_build(l, record);
	return r;
}

int list_builds(void *self, struct rpc_call *call, const Imaged__V1__ListBuildsRequest *request,
		Imaged__V1__ListBuildsResponse *response, struct err *err)
{
	struct image_service *service = self;
	struct build_list l = {
		.limit = !request->page_size ? SIZE_DEFAULT : min_size((uint64_t)request->page_size, SIZE_LARGEST),
		.response = response,
	};
	int r;

	if (request->page_size < 0)
		return fail(err, E_INVALID, "page_size is negative");
	if (strlen(request->page_token) >= BUILD_ID_TEXT_MAX)
		return fail(err, E_INVALID, "page_token is not one that ListBuilds gave out");
	if (answer_arena(call, &l.arena, err) < 0)
		return err->code;
	response->builds = arena_array(l.arena, l.limit, sizeof *response->builds);
	if (!response->builds)
		return fail_nomem(err);
	r = *request->id ? add_one(&l, service->store, request->id, err)
			 : build_records_each(service->store, request->page_token, add_build, &l, err);
	if (r == OK && l.failed)
		r = fail_nomem(err);
	if (r == OK && l.more)
		response->next_page_token = response->builds[response->n_builds - 1]->id;
	return r;
}
