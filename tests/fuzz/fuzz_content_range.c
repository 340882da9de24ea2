/* Input: a Content-Range header. What is read is a range, and written again reads the same. */
#include "service/registry/content_range.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[512], again[128];
	struct content_range r, s;

	if (size >= sizeof text)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	if (!content_range_parse(text, &r))
		return 0;
	require(r.first >= 0 && r.first <= r.last && (r.total == -1 || r.last < r.total));
	if (r.total < 0)
		snprintf(again, sizeof again, "bytes %lld-%lld/*", (long long)r.first, (long long)r.last);
	else
		snprintf(again, sizeof again, "bytes %lld-%lld/%lld", (long long)r.first, (long long)r.last,
			 (long long)r.total);
	require(content_range_parse(again, &s) && s.first == r.first && s.last == r.last && s.total == r.total);
	require(content_range_continues(text, r.first, r.total < 0 ? r.last + 1 : r.total));
	return 0;
}
