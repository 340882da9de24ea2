/* Rows of `system transfers`: one for each blob on its way, oldest first. */
#include "client/cli/commands/transfers.h"

#include "client/cli/convert.h"
#include "client/cli/format/rows.h"
#include "client/cli/format/units.h"

enum field {
	CURRENT,
	DIGEST,
	DIRECTION,
	MESSAGE,
	ORIGIN,
	PROGRESS,
	REPOSITORY,
	RESUMED,
	RUNNING_FOR,
	SPEED,
	STARTED_AT,
	STATE,
	TOTAL,
	WATCHERS,
	N_FIELDS
};

static const struct value_field fields[N_FIELDS] = {
	[CURRENT] = { .name = "Current", .method = true },
	[DIGEST] = { .name = "Digest", .method = true },
	[DIRECTION] = { .name = "Direction", .method = true },
	[MESSAGE] = { .name = "Message", .method = true },
	[ORIGIN] = { .name = "Origin", .method = true },
	[PROGRESS] = { .name = "Progress", .method = true },
	[REPOSITORY] = { .name = "Repository", .method = true },
	[RESUMED] = { .name = "Resumed", .method = true },
	[RUNNING_FOR] = { .name = "RunningFor", .method = true },
	[SPEED] = { .name = "Speed", .method = true },
	[STARTED_AT] = { .name = "StartedAt", .method = true },
	[STATE] = { .name = "State", .method = true },
	[TOTAL] = { .name = "Total", .method = true },
	[WATCHERS] = { .name = "Watchers", .method = true },
};

static const struct value_type type_row = {
	.name = "system.transferContext",
	.kind = VALUE_STRUCT,
	.fields = fields,
	.n_fields = N_FIELDS,
	.json_marshals_escaped = true,
};

static const struct column columns[] = {
	{ "Current", "CURRENT" },	{ "Digest", "DIGEST" },	       { "Direction", "DIRECTION" },
	{ "Message", "MESSAGE" },	{ "Origin", "ORIGIN" },	       { "Progress", "PROGRESS" },
	{ "Repository", "REPOSITORY" }, { "Resumed", "RESUMED" },      { "RunningFor", "STARTED" },
	{ "Speed", "SPEED" },		{ "StartedAt", "STARTED AT" }, { "State", "STATE" },
	{ "Total", "TOTAL" },		{ "Watchers", "WATCHERS" },
};

static const char *direction_text(Imaged__V1__Transfer__Direction direction)
{
	switch ((int)direction) {
	case IMAGED__V1__TRANSFER__DIRECTION__DIRECTION_PULL:
		return "pull";
	case IMAGED__V1__TRANSFER__DIRECTION__DIRECTION_PUSH:
		return "push";
	case IMAGED__V1__TRANSFER__DIRECTION__DIRECTION_COPY:
		return "copy";
	default:
		return "unknown";
	}
}

static const char *state_text(Imaged__V1__Transfer__State state)
{
	switch ((int)state) {
	case IMAGED__V1__TRANSFER__STATE__STATE_WAITING:
		return "waiting";
	case IMAGED__V1__TRANSFER__STATE__STATE_TRANSFERRING:
		return "transferring";
	case IMAGED__V1__TRANSFER__STATE__STATE_VERIFYING:
		return "verifying";
	case IMAGED__V1__TRANSFER__STATE__STATE_RETRYING:
		return "retrying";
	case IMAGED__V1__TRANSFER__STATE__STATE_COMPLETE:
		return "complete";
	default:
		return "unknown";
	}
}

static const char *origin_text(Imaged__V1__Transfer__Origin origin)
{
	switch ((int)origin) {
	case IMAGED__V1__TRANSFER__ORIGIN__ORIGIN_API:
		return "api";
	case IMAGED__V1__TRANSFER__ORIGIN__ORIGIN_CRI:
		return "cri";
	case IMAGED__V1__TRANSFER__ORIGIN__ORIGIN_BUILD:
		return "build";
	default:
		return "unknown";
	}
}

/* "api,cri" */
static struct value origins(struct arena *a, const Imaged__V1__Transfer *m)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(4096);

	for (size_t i = 0; i < m->n_origins; i++)
		buf_printf(&text, "%s%s", i ? "," : "", origin_text(m->origins[i]));
	return value_copy(a, text_of(buf_text(&text)));
}

/* "12.3MB/s"; "" before anything has come. */
static struct value speed(struct arena *a, const Imaged__V1__Transfer *m)
{
	char text[SIZE_TEXT_MAX];

	if (!m->bytes_per_second)
		return value_string("");
	return value_format(a, "%s/s", size_text((double)m->bytes_per_second, 3, text));
}

/* "12.3MB/1.07GB" */
static struct value progress(struct arena *a, const Imaged__V1__Transfer *m)
{
	char current[SIZE_TEXT_MAX], total[SIZE_TEXT_MAX];

	return value_format(a, "%s/%s", size_text((double)m->current, 3, current),
			    size_text((double)m->total, 3, total));
}

static struct value row_value(struct arena *a, const struct transfers_view *view, const Imaged__V1__Transfer *m)
{
	char name[REFERENCE_TEXT_MAX];
	struct value *v = arena_array(a, N_FIELDS, sizeof *v);

	if (!v)
		return value_none();
	v[CURRENT] = value_int64(m->current);
	v[DIGEST] = id_value(a, m->digest, view->no_trunc);
	v[DIRECTION] = value_string(direction_text(m->direction));
	v[MESSAGE] = value_copy(a, text_of(m->message));
	v[ORIGIN] = origins(a, m);
	v[PROGRESS] = progress(a, m);
	v[REPOSITORY] = value_copy(a, text_of(familiar_text(m->repository, name)));
	v[RESUMED] = value_int64(m->resumed);
	v[RUNNING_FOR] = age_value(a, seconds_of(m->started), view->now_ns);
	v[SPEED] = speed(a, m);
	v[STARTED_AT] = time_local(a, seconds_of(m->started));
	v[STATE] = value_string(state_text(m->state));
	v[TOTAL] = value_int64(m->total);
	v[WATCHERS] = value_int64(m->watchers);
	return value_pointer_to(value_struct(&type_row, v));
}

static const char *choose_format(const struct transfers_view *view)
{
	if (view->format && *view->format && strcmp(view->format, "table"))
		return view->format;
	return "table {{.Digest}}\t{{.Direction}}\t{{.State}}\t{{.Progress}}\t{{.Speed}}\t"
	       "{{.RunningFor}}\t{{.Origin}}\t{{.Repository}}";
}

int transfers_render(const struct transfers_view *view, const Imaged__V1__WatchTransfersResponse *m, struct buf *out,
		     struct err *err)
{
	CLEANUP(arena_free) struct arena arena, header;
	struct rows rows;
	int r;

	arena_init(&arena, TEMPLATE_MEMORY_MAX);
	arena_init(&header, TEMPLATE_MEMORY_MAX);
	r = rows_open(&rows, choose_format(view), columns_value(&header, columns, ARRAY_LEN(columns)), err);
	for (size_t i = 0; i < m->n_transfers && !r; i++) {
		r = rows_add(&rows, row_value(&arena, view, m->transfers[i]), err);
		arena_reset(&arena, arena.cap);
	}
	if (!r)
		r = rows_finish(&rows, out, err);
	rows_free(&rows);
	return r;
}
