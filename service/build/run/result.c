#include "service/build/run/result.h"

#include <stdio.h>

enum { SIGNALLED = 128, SIGNALS = 64 };

struct run_result result_of_report(const struct run_report *r)
{
	bool is_signal = r->exit_code > SIGNALLED && r->exit_code <= SIGNALLED + SIGNALS;
	struct run_result result = {
		.exit_code = r->exit_code,
		.signal = is_signal ? r->exit_code - SIGNALLED : 0,
		.out_of_memory = r->oom_kills > 0 && r->exit_code,
		.memory_peak = r->memory_peak,
		.cpu_us = r->cpu_us,
		.single_id = r->single_id,
	};

	snprintf(result.message, sizeof result.message, "%.*s", (int)sizeof result.message - 1, r->text);
	return result;
}
