#include "service/build/copy/stream.h"

#include <sys/stat.h>

enum { WAYS_MIN = 16 };

/* A directory that nothing was taken of yet. */
struct way {
	struct source_entry e;
	size_t path_len;
};

struct stream {
	const struct copy_files *files;
	struct stream_filter filter;
	uint64_t included;

	bool begun;
	struct source_entry first;
	/* of a context: entries below the first one */
	uint32_t at, end;
	size_t prefix;
	/* of a tree: NULL when the first one is no directory */
	struct tree *walk;

	struct way *ways; /* within each other */
	size_t n_ways, ways_room;
	size_t shown_ways; /* while they are given out */
	bool has_next;
	struct source_entry next;
	struct stream_entry out;
};

/* ---- life ------------------------------------------------------------------------------- */

static void set_range(struct stream *s, struct bytes path)
{
	struct context_range range = context_list_range(build_context_list(s->files->context), path);

	s->at = range.begin + (path.len && range.begin < range.end);
	s->end = range.end;
	s->prefix = path.len ? path.len + 1 : 0;
}

int stream_open(const struct copy_files *f, struct bytes path, const struct stream_filter *filter,
		struct stream **ret_stream, struct err *err)
{
	CLEANUP(stream_closep) struct stream *s = calloc(1, sizeof *s);
	int rc;

	if (!s)
		return fail_nomem(err);
	s->files = f;
	if (filter)
		s->filter = *filter;
	rc = source_lookup(f, path, &s->first, err);
	if (rc == OK && f->context)
		set_range(s, path);
	else if (rc == OK && S_ISDIR(s->first.mode))
		rc = tree_view_walk(f->view, path, &s->walk, err);
	if (rc == OK)
		*ret_stream = TAKE(s);
	return rc;
}

void stream_close(struct stream *s)
{
	if (!s)
		return;
	tree_close(s->walk);
	free(s->ways);
	free(s);
}

void stream_closep(struct stream **s)
{
	stream_close(*s);
}

uint64_t stream_included(const struct stream *s)
{
	return s->included;
}

/* ---- without patterns ----------------------------------------------------------------------- */

static void next_of_context(struct stream *s, bool *ret_any)
{
	struct bytes path;

	*ret_any = s->at < s->end;
	if (!*ret_any)
		return;
	path = context_list_path(build_context_list(s->files->context), s->at);
	source_of_context(s->files, s->at++, &s->next);
	s->next.path = (struct bytes){ path.data + s->prefix, path.len - s->prefix };
}

static int next_of_tree(struct stream *s, bool *ret_any, struct err *err)
{
	const struct tree_entry *t = NULL;
	int rc = s->walk ? tree_next(s->walk, &t, err) : OK;

	if (rc == OK && t && !t->path.len) /* the first one, which was given */
		rc = tree_next(s->walk, &t, err);
	*ret_any = rc == OK && t;
	if (!*ret_any)
		return rc;
	source_of_tree(s->files, t, &s->next);
	s->next.path = t->path;
	return OK;
}

static int next_of_all(struct stream *s, bool *ret_any, struct err *err)
{
	*ret_any = true;
	if (!s->begun) {
		s->begun = true;
		s->next = s->first;
		return OK;
	}
	if (!s->files->context)
		return next_of_tree(s, ret_any, err);
	next_of_context(s, ret_any);
	return OK;
}

/* What is below the entry that came last. */
static void skip(struct stream *s)
{
	if (s->walk)
		tree_skip(s->walk);
	if (s->files->context)
		s->at = context_list_skip(build_context_list(s->files->context), s->at - 1);
}

/* ---- patterns ---------------------------------------------------------------------------------- */

static bool is_taken(struct stream *s, struct bytes path)
{
	if (s->filter.included && ignore_excludes(s->filter.included, path))
		return false;
	s->included++;
	return !s->filter.excluded || !ignore_excludes(s->filter.excluded, path);
}

static bool may_be_taken_below(const struct ignore *g, struct bytes directory)
{
	return !g || !ignore_excludes(g, directory) || (g->exceptions && ignore_may_except_below(g, directory));
}

static bool is_worth_it(const struct stream *s, struct bytes directory)
{
	return may_be_taken_below(s->filter.included, directory) && may_be_taken_below(s->filter.excluded, directory);
}

static int push_way(struct stream *s, struct err *err)
{
	if (s->n_ways == s->ways_room) {
		size_t room = s->ways_room ? 2 * s->ways_room : WAYS_MIN;
		struct way *ways = reallocarray(s->ways, room, sizeof *ways);

		if (!ways)
			return fail_nomem(err);
		s->ways = ways;
		s->ways_room = room;
	}
	s->ways[s->n_ways++] = (struct way){ s->next, s->next.path.len };
	return OK;
}

/* Those that the next entry is not in. */
static void leave_ways(struct stream *s)
{
	while (s->n_ways) {
		size_t len = s->ways[s->n_ways - 1].path_len;

		if (s->next.path.len > len && s->next.path.data[len] == '/')
			break; /* a walk goes into a directory right after it: the path begins with it */
		s->n_ways--;
	}
}

/* The next one that is taken; has_next false at the end. */
static int find_next(struct stream *s, struct err *err)
{
	int rc = next_of_all(s, &s->has_next, err);

	while (rc == OK && s->has_next && s->next.path.len) {
		leave_ways(s);
		if (is_taken(s, s->next.path))
			break;
		if (S_ISDIR(s->next.mode) && is_worth_it(s, s->next.path))
			rc = push_way(s, err);
		else if (S_ISDIR(s->next.mode))
			skip(s);
		if (rc == OK)
			rc = next_of_all(s, &s->has_next, err);
	}
	return rc;
}

/* A way's path is the beginning of the path of what is in it. */
static void show_way(struct stream *s)
{
	const struct way *w = &s->ways[s->shown_ways++];

	s->out = (struct stream_entry){ w->e, true };
	s->out.e.path = (struct bytes){ s->next.path.data, w->path_len };
}

int stream_next(struct stream *s, const struct stream_entry **ret_entry, struct err *err)
{
	int rc = s->has_next ? OK : find_next(s, err);

	if (rc != OK)
		return rc;
	*ret_entry = s->has_next ? &s->out : NULL;
	if (s->has_next && s->shown_ways < s->n_ways) {
		show_way(s);
		return OK;
	}
	s->out = (struct stream_entry){ s->next, false };
	s->n_ways = s->shown_ways = 0;
	s->has_next = false;
	return OK;
}
