#include "service/build/session/report.h"

#include "service/build/lint_report.h"
#include "service/build/outline.h"

int report_parse(const char *call, struct report *ret_report, struct err *err)
{
	static const struct {
		const char *name;
		enum report_kind kind;
	} calls[] = {
		{ "", REPORT_NONE },	  { "build", REPORT_NONE },	 { "check", REPORT_CHECK },
		{ "lint", REPORT_CHECK }, { "outline", REPORT_OUTLINE }, { "targets", REPORT_TARGETS },
	};
	struct bytes name = bytes_of(call);
	size_t len = bytes_find(name, ',');
	struct bytes rest = bytes_from(name, len);
	bool text = !rest.len || bytes_are(rest, ",format=text"), json = bytes_are(rest, ",format=json");

	for (size_t i = 0; i < ARRAY_LEN(calls) && (text || json); i++)
		if (bytes_are(bytes_first(name, len), calls[i].name)) {
			*ret_report = (struct report){ calls[i].kind, json };
			return OK;
		}
	return fail(err, E_INVALID,
		    "invalid call \"%.128s\": it is check, outline or targets, perhaps with "
		    "\",format=json\"",
		    call);
}

static int write_check(const struct report *r, struct definition *d, const struct err *failure, struct buf *out,
		       struct err *err)
{
	const struct lint_subject subject = {
		.filename = d->name,
		.text = d->text,
		.error = failure ? failure->text : NULL,
		.error_place = d->place,
	};

	return r->json ? lint_report_json(&d->lint, &subject, out, err)
		       : lint_report_text(&d->lint, &subject, out, err);
}

int report_write(const struct report *r, struct definition *d, const struct front_end *f, const struct err *failure,
		 struct buf *out, struct err *err)
{
	const struct outline_subject subject = { .text = d->text, .plan = &f->plan, .evaluation = &f->evaluation };

	switch (r->kind) {
	case REPORT_OUTLINE:
		return r->json ? outline_json(&subject, out, err) : outline_text(&subject, out, err);
	case REPORT_TARGETS:
		return r->json ? targets_json(&subject, out, err) : targets_text(&subject, out, err);
	default:
		return write_check(r, d, failure, out, err);
	}
}
