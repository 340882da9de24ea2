#include "store/content/runs.h"

static void remove_at(struct runs *r, size_t at, size_t n)
{
	memmove(&r->list[at], &r->list[at + n], (r->n - at - n) * sizeof r->list[0]);
	r->n -= n;
}

static void insert_at(struct runs *r, size_t at, struct run run)
{
	if (at == RUNS_MAX)
		return;
	if (r->n == RUNS_MAX)
		r->n--;
	memmove(&r->list[at + 1], &r->list[at], (r->n - at) * sizeof r->list[0]);
	r->list[at] = run;
	r->n++;
}

void runs_add(struct runs *r, int64_t from, int64_t to)
{
	struct run run = { from, to };
	size_t at = 0, n = 0;

	if (from >= to)
		return;
	while (at < r->n && r->list[at].to < from)
		at++;
	for (; at + n < r->n && r->list[at + n].from <= run.to; n++) {
		run.from = r->list[at + n].from < run.from ? r->list[at + n].from : run.from;
		run.to = r->list[at + n].to > run.to ? r->list[at + n].to : run.to;
	}
	remove_at(r, at, n);
	insert_at(r, at, run);
}

int64_t runs_reach(const struct runs *r, int64_t at)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->list[i].from <= at && at <= r->list[i].to)
			return r->list[i].to;
	return at;
}

int64_t runs_next(const struct runs *r, int64_t at, int64_t end)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->list[i].from > at)
			return r->list[i].from < end ? r->list[i].from : end;
	return end;
}

int64_t runs_beyond(const struct runs *r, int64_t at)
{
	int64_t bytes = 0;

	for (size_t i = 0; i < r->n; i++)
		if (r->list[i].to > at)
			bytes += r->list[i].to - (r->list[i].from > at ? r->list[i].from : at);
	return bytes;
}

bool runs_valid(const struct runs *r, int64_t end)
{
	int64_t before = -1;

	for (size_t i = 0; i < r->n; i++) {
		if (r->list[i].from <= before || r->list[i].from >= r->list[i].to || r->list[i].to > end)
			return false;
		before = r->list[i].to;
	}
	return true;
}
