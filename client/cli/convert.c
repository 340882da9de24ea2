#include "client/cli/convert.h"

#include "client/cli/format/gotime.h"
#include "client/cli/format/units.h"

int64_t seconds_of(const Google__Protobuf__Timestamp *t)
{
	return t ? t->seconds : TIME_ZERO;
}

int32_t nanos_of(const Google__Protobuf__Timestamp *t)
{
	return t ? t->nanos : 0;
}

struct value time_go(struct arena *a, int64_t seconds)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(256);

	if (!time_text_go(&text, seconds, 0, false))
		buf_puts(&text, "invalid time");
	return value_copy(a, (struct text){ buf_text(&text), text.len });
}

struct value time_local(struct arena *a, int64_t seconds)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(256);

	if (!time_text_local(&text, seconds))
		buf_puts(&text, "invalid time");
	return value_copy(a, (struct text){ buf_text(&text), text.len });
}

struct value time_utc(struct arena *a, const Google__Protobuf__Timestamp *t)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(256);

	if (!time_text_utc(&text, seconds_of(t), nanos_of(t)))
		buf_puts(&text, "invalid time");
	return value_copy(a, (struct text){ buf_text(&text), text.len });
}

struct value size_value(struct arena *a, int64_t bytes, int digits)
{
	char text[SIZE_TEXT_MAX];

	return value_copy(a, text_of(size_text((double)bytes, digits, text)));
}

struct value age_value(struct arena *a, int64_t seconds, int64_t now_ns)
{
	char text[AGE_TEXT_MAX];

	return value_copy(a, text_of(age_since(seconds, now_ns, text)));
}

struct value id_value(struct arena *a, const char *id, bool whole)
{
	return value_copy(a, whole ? text_of(id) : short_id(id));
}

char *familiar_text(const char *canonical, char out[REFERENCE_TEXT_MAX])
{
	struct reference ref;

	if (!reference_parse(canonical, &ref, NULL))
		return reference_familiar(&ref, out);
	snprintf(out, REFERENCE_TEXT_MAX, "%s", canonical);
	return out;
}

char *platform_of(const Imaged__V1__Platform *p, char out[256])
{
	if (!p)
		snprintf(out, 256, "unknown");
	else
		snprintf(out, 256, "%s/%s%s%s", p->os, p->architecture, *p->variant ? "/" : "", p->variant);
	return out;
}
