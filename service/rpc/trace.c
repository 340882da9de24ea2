#include "service/rpc/trace.h"

#include <stdio.h>
#include <sys/random.h>

/* 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 */
enum {
	VERSION_AT = 0,
	TRACE_AT = 3,
	SPAN_AT = TRACE_AT + LOG_TRACE_ID_LEN + 1,
	FLAGS_AT = SPAN_AT + LOG_SPAN_ID_LEN + 1,
	HEADER_LEN = FLAGS_AT + 2,
};

static bool is_hex(const uint8_t *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!(text[i] >= '0' && text[i] <= '9') && !(text[i] >= 'a' && text[i] <= 'f'))
			return false;
	return true;
}

/* An id of zeros stands for none. */
static bool is_id(const uint8_t *text, size_t len)
{
	size_t zeros = 0;

	while (zeros < len && text[zeros] == '0')
		zeros++;
	return zeros < len && is_hex(text, len);
}

static bool has_dashes(const uint8_t *text)
{
	return text[TRACE_AT - 1] == '-' && text[SPAN_AT - 1] == '-' && text[FLAGS_AT - 1] == '-';
}

/* Version 00 ends here, others may go on after a dash, and ff is no version. */
static bool version_fits(struct bytes header)
{
	const uint8_t *version = header.data + VERSION_AT;

	if (!is_hex(version, 2) || !memcmp(version, "ff", 2))
		return false;
	if (header.len == HEADER_LEN)
		return true;
	return memcmp(version, "00", 2) != 0 && header.data[HEADER_LEN] == '-';
}

bool traceparent_parse(struct bytes header, struct log_context *ret_context)
{
	const uint8_t *text = header.data;

	if (header.len < HEADER_LEN || !has_dashes(text) || !version_fits(header) ||
	    !is_id(text + TRACE_AT, LOG_TRACE_ID_LEN) || !is_id(text + SPAN_AT, LOG_SPAN_ID_LEN) ||
	    !is_hex(text + FLAGS_AT, 2))
		return false;
	memcpy(ret_context->trace_id, text + TRACE_AT, LOG_TRACE_ID_LEN);
	ret_context->trace_id[LOG_TRACE_ID_LEN] = 0;
	memcpy(ret_context->span_id, text + SPAN_AT, LOG_SPAN_ID_LEN);
	ret_context->span_id[LOG_SPAN_ID_LEN] = 0;
	return true;
}

bool request_id_valid(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		    (!c || !strchr("-._:/+=@", c)))
			return false;
	}
	return text.len >= 1 && text.len <= LOG_REQUEST_ID_MAX;
}

static struct bytes bytes_of_slice(const grpc_slice *slice)
{
	return (struct bytes){ GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice) };
}

/* The value of a key that is there once: of two nobody knows which is meant. */
static struct bytes find_once(const grpc_metadata_array *metadata, const char *key)
{
	const grpc_metadata *found = NULL;

	for (size_t i = 0; i < metadata->count; i++) {
		if (grpc_slice_str_cmp(metadata->metadata[i].key, key) != 0)
			continue;
		if (found)
			return (struct bytes){ NULL, 0 };
		found = &metadata->metadata[i];
	}
	return found ? bytes_of_slice(&found->value) : (struct bytes){ NULL, 0 };
}

/* Without randomness, which the kernel never lacks once it runs, calls share an id. */
static void make_request_id(struct log_context *context)
{
	uint64_t number = 0;

	if (getrandom(&number, sizeof number, 0) != sizeof number)
		number = 0;
	snprintf(context->request_id, sizeof context->request_id, "%016llx", (unsigned long long)number);
}

void trace_of_call(const grpc_metadata_array *metadata, struct log_context *ret_context)
{
	struct bytes id = find_once(metadata, "x-request-id");

	*ret_context = (struct log_context){ .request_id = "" };
	if (request_id_valid(id))
		memcpy(ret_context->request_id, id.data, id.len);
	else
		make_request_id(ret_context);
	traceparent_parse(find_once(metadata, "traceparent"), ret_context);
}
