#include "service/build/lint_report.h"

#include <jansson.h>

#include "proto/runtime/base64.h"
#include "service/build/excerpt.h"

/* Stable: those of one line stay in the order in which they were found. */
static void sort_warnings(struct lint *l)
{
	for (size_t i = 1; i < l->n; i++) {
		struct lint_warning w = l->warnings[i];
		size_t at = i;

		for (; at && l->warnings[at - 1].place.first > w.place.first; at--)
			l->warnings[at] = l->warnings[at - 1];
		l->warnings[at] = w;
	}
}

static int finish(const struct buf *out, struct err *err)
{
	return buf_ok(out) ? OK : fail(err, E_LIMIT, "the report is larger than %zu bytes", out->max);
}

/* ---- for people ------------------------------------------------------------------- */

int lint_report_text(struct lint *l, const struct lint_subject *subject, struct buf *out, struct err *err)
{
	sort_warnings(l);
	for (size_t i = 0; i < l->n && buf_ok(out); i++) {
		const struct lint_warning *w = &l->warnings[i];
		const char *url = lint_url(w->rule);

		buf_printf(out, "\nWARNING: %s%s%s\n%s\n", lint_name(w->rule), *url ? " - " : "", url, w->detail);
		excerpt_write(subject->text, subject->filename, w->place, out);
	}
	if (subject->error) {
		buf_printf(out, "%s\n", subject->error);
		excerpt_write(subject->text, subject->filename, subject->error_place, out);
	}
	return finish(out, err);
}

/* ---- for programs ----------------------------------------------------------------- */

enum { RANGES_MAX = 100 };

/* A range for each line, as BuildKit gives them; of very many the last one is for all
 * that are left. */
static json_t *location_of(struct place place)
{
	json_t *ranges = json_array();

	for (int i = place.first; i && i <= place.last; i++) {
		bool rest = i - place.first + 1 == RANGES_MAX;
		int end = rest ? place.last : i;

		json_array_append_new(ranges, json_pack("{s{si}s{si}}", "start", "line", i, "end", "line", end));
		if (rest)
			break;
	}
	return json_pack("{so}", "ranges", ranges);
}

static json_t *warnings_of(const struct lint *l)
{
	json_t *list = json_array();

	for (size_t i = 0; i < l->n; i++) {
		const struct lint_warning *w = &l->warnings[i];

		json_array_append_new(list, json_pack("{ss ss ss* ss so}", "ruleName", lint_name(w->rule),
						      "description", lint_description(w->rule), "url",
						      *lint_url(w->rule) ? lint_url(w->rule) : NULL, "detail",
						      w->detail, "location", location_of(w->place)));
	}
	return list;
}

/* The file goes along in base64, as Go does with bytes. */
static json_t *source_of(const struct lint_subject *subject)
{
	CLEANUP(buf_free) struct buf data = BUF_INIT(2 * (size_t)DOCKERFILE_MAX);

	base64_encode(&data, subject->text.data, subject->text.len);
	return json_pack("{ss ss ss}", "filename", subject->filename, "language", "Dockerfile", "data",
			 buf_text(&data));
}

int lint_report_json(struct lint *l, const struct lint_subject *subject, struct buf *out, struct err *err)
{
	CLEANUP(json_decrefp) json_t *report = NULL;
	CLEANUP(freep) char *text = NULL;

	sort_warnings(l);
	report = json_pack("{so s[o]}", "warnings", warnings_of(l), "sources", source_of(subject));
	if (report && subject->error)
		json_object_set_new(
			report, "buildError",
			json_pack("{ss so}", "message", subject->error, "location", location_of(subject->error_place)));
	text = report ? json_dumps(report, JSON_INDENT(2)) : NULL;
	if (!text)
		return fail(err, E_INVALID, "the Dockerfile is no UTF-8 text, or memory is short");
	buf_puts(out, text);
	return finish(out, err);
}
