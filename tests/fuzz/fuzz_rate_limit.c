/* Input: the three rate limit headers, one a line. What is known is bounded. */
#include "service/registry/rate_limit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[2048], *lines[3] = { NULL };
	struct rate_limit r;

	if (size >= sizeof text)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	lines[0] = text;
	for (size_t i = 1; i < ARRAY_LEN(lines) && lines[i - 1]; i++) {
		lines[i] = strchr(lines[i - 1], '\n');
		if (lines[i])
			*lines[i]++ = 0;
	}
	if (!rate_limit_parse(lines[0], lines[1], lines[2], &r))
		return 0;
	if (!r.known || r.limit < 0 || r.remaining < 0 || r.window_s < 0 ||
	    strnlen(r.source, RATE_SOURCE_MAX) == RATE_SOURCE_MAX)
		abort();
	rate_limit_is_low(&r);
	return 0;
}
