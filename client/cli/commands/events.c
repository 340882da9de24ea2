#include "client/cli/commands/commands.h"
#include "client/cli/convert.h"
#include "client/cli/format/rows.h"
#include "client/cli/object_view.h"
#include "imaged/v1/image_service.client.h"

struct options {
	const char *format;
	int64_t since;
	bool no_follow;
};

static const char *action_text(Imaged__V1__Event__Action action)
{
	switch ((int)action) {
	case IMAGED__V1__EVENT__ACTION__ACTION_PULL:
		return "pull";
	case IMAGED__V1__EVENT__ACTION__ACTION_TAG:
		return "tag";
	case IMAGED__V1__EVENT__ACTION__ACTION_UNTAG:
		return "untag";
	case IMAGED__V1__EVENT__ACTION__ACTION_DELETE:
		return "delete";
	case IMAGED__V1__EVENT__ACTION__ACTION_REPAIR:
		return "repair";
	case IMAGED__V1__EVENT__ACTION__ACTION_LOAD:
		return "load";
	case IMAGED__V1__EVENT__ACTION__ACTION_IMPORT:
		return "import";
	case IMAGED__V1__EVENT__ACTION__ACTION_PUSH:
		return "push";
	case IMAGED__V1__EVENT__ACTION__ACTION_BUILD:
		return "build";
	default:
		return "unknown";
	}
}

static void fill(struct object *o, struct arena *a, const Imaged__V1__Event *m)
{
	char name[REFERENCE_TEXT_MAX];

	o->type_name = "events.Message";
	object_add(o, "Revision", value_int64(m->revision));
	object_add(o, "Time", time_utc(a, m->time));
	object_add(o, "Type", value_string("image"));
	object_add(o, "Action", value_string(action_text(m->action)));
	object_add(o, "ID", value_string(m->image_id));
	object_add(o, "Name", *m->name ? value_copy(a, text_of(familiar_text(m->name, name))) : value_string(""));
	object_add(o, "Digest", value_string(m->digest));
}

/* "TIME image ACTION ID (name=NAME, revision=N)" */
static void put_line(struct buf *out, struct arena *a, const Imaged__V1__Event *m)
{
	char name[REFERENCE_TEXT_MAX];
	struct value time = time_utc(a, m->time);

	buf_append(out, time.string.data, time.kind == VALUE_STRING ? time.string.len : 0);
	buf_printf(out, " image %s %s (", action_text(m->action), *m->image_id ? m->image_id : m->digest);
	if (*m->name)
		buf_printf(out, "name=%s, ", familiar_text(m->name, name));
	buf_printf(out, "revision=%lld)\n", (long long)m->revision);
}

/* As each event comes: nobody waits for the last row here. */
static int show(struct rows *rows, bool formatted, const Imaged__V1__Event *m, struct err *err)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(64 * 1024);
	CLEANUP(arena_free) struct arena a;
	struct object o = { 0 };
	int r = OK;

	arena_init(&a, TEMPLATE_MEMORY_MAX);
	if (formatted) {
		fill(&o, &a, m);
		buf_reset(&rows->text);
		r = rows_add(rows, object_value(&o), err);
		if (!r)
			cli_write(buf_text(&rows->text), rows->text.len);
	} else {
		put_line(&line, &a, m);
		cli_write(buf_text(&line), line.len);
	}
	return r;
}

static int follow(struct cli *cli, const struct options *o, struct rows *rows, struct err *err)
{
	Imaged__V1__WatchEventsRequest request = IMAGED__V1__WATCH_EVENTS_REQUEST__INIT;
	CLEANUP(imaged__v1__image_service__watch_events_freep)
	struct imaged__v1__image_service__watch_events_stream *stream = NULL;
	const Imaged__V1__Event *event;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	request.after_revision = o->since;
	request.no_follow = o->no_follow;
	if (!r)
		r = imaged__v1__image_service__open_watch_events(channel, cli_call_options(), &request, &stream, err);
	while (!r && !cli_output_failed() &&
	       (r = imaged__v1__image_service__watch_events_next(stream, &event, err)) > 0)
		r = show(rows, o->format && *o->format, event, err);
	cli_explain(cli, err);
	return r;
}

static int run(struct cli *cli, const void *options, UNUSED int argc, UNUSED char **argv)
{
	const struct options *o = options;
	struct rows rows = { 0 };
	struct err err = ERR_INIT;
	int r;

	if (o->format && *o->format && rows_open(&rows, o->format, value_none(), &err)) {
		rows_free(&rows);
		cli_fail(&err);
		return 64;
	}
	r = follow(cli, o, &rows, &err);
	rows_free(&rows);
	if (r && err.code == E_TEMPLATE) {
		cli_fail(&err);
		return 1;
	}
	return r ? cli_fail_call(&err) : 0;
}

static const struct flag flags[] = {
	{ "format", 0, FLAG_STRING, offsetof(struct options, format), FORMAT_HELP_JSON, NULL },
	{ "no-follow", 0, FLAG_BOOL | FLAG_OWN, offsetof(struct options, no_follow),
	  "Stop after the events that exist now", NULL },
	{ "since", 0, FLAG_INT, offsetof(struct options, since), "Show the events after this revision first", NULL },
};

const struct command_spec spec_events = {
	.usage = "[OPTIONS]",
	.summary = "Get real time events from the server",
	.aliases = "system events, events",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.options_size = sizeof(struct options),
	.run = run,
};
