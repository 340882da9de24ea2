/* Any bytes as a CodeGeneratorRequest: an answer or a clean failure. */
#include "google/protobuf/compiler/plugin.pb-c.h"
#include "proto/plugin/plugin.h"

/* Not assert(): it must hold in release builds, too. */
#define demand(condition)         \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(PLUGIN_OUTPUT_MAX);
	Google__Protobuf__Compiler__CodeGeneratorResponse *response;
	struct err err = ERR_INIT;

	if (plugin_run((struct bytes){ data, size }, &out, &err) < 0) {
		demand(err.code < 0 && err.text[0]);
		return 0;
	}
	response = google__protobuf__compiler__code_generator_response__unpack(NULL, out.len, out.data);
	demand(response);
	demand(!response->error || !response->n_file);
	google__protobuf__compiler__code_generator_response__free_unpacked(response, NULL);
	return 0;
}
