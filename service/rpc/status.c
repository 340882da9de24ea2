#include "service/rpc/status.h"

#include "google/protobuf/any.pb-c.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "proto/runtime/codec.h"

#define REQUEST_ID_KEY "request-id"
#define TYPE_URL "type.googleapis.com/"

enum { UTF8_MAX = 4, MS_PER_S = 1000, NS_PER_MS = 1000000 };

static size_t utf8_length(struct bytes rest)
{
	for (size_t n = 1; n <= UTF8_MAX && n <= rest.len; n++)
		if (utf8_valid((struct bytes){ rest.data, n }))
			return n;
	return 0;
}

void utf8_scrub(char *text)
{
	size_t len = strlen(text), i = 0;

	for (size_t k = 0; k < len; k++) /* what users typed comes back in errors, and they go to terminals and logs */
		if ((unsigned char)text[k] < ' ' || text[k] == 0x7f)
			text[k] = '?';
	if (utf8_valid(bytes_of(text)))
		return;
	while (i < len) {
		size_t n = utf8_length((struct bytes){ (const uint8_t *)text + i, len - i });

		if (!n)
			text[i] = '?';
		i += n ? n : 1;
	}
}

/* `any` and its bytes come from the arena. */
static bool add_detail(Google__Rpc__Status *status, const char *type_url, const ProtobufCMessage *detail,
		       struct arena *arena)
{
	Google__Protobuf__Any *any = arena_alloc(arena, sizeof *any);
	uint8_t *data = arena_alloc(arena, protobuf_c_message_get_packed_size(detail) + 1);

	if (!any || !data)
		return false;
	*any = (Google__Protobuf__Any)GOOGLE__PROTOBUF__ANY__INIT;
	any->type_url = (char *)type_url;
	any->value = (ProtobufCBinaryData){ protobuf_c_message_pack(detail, data), data };
	status->details[status->n_details++] = any;
	return true;
}

static bool add_info(Google__Rpc__Status *status, const struct err *err, const char *request_id, struct arena *arena)
{
	enum { ENTRIES = 3 };
	Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
	Google__Rpc__ErrorInfo__MetadataEntry entries[ENTRIES], *pointers[ENTRIES] = { NULL };
	char needed[24], available[24];
	const struct {
		const char *key, *value;
		bool wanted;
	} rows[ENTRIES] = {
		{ "needed_bytes", needed, err->needed_bytes || err->free_bytes },
		{ "free_bytes", available, err->needed_bytes || err->free_bytes },
		{ REQUEST_ID_KEY, request_id, *request_id != 0 },
	};

	snprintf(needed, sizeof needed, "%lld", (long long)err->needed_bytes);
	snprintf(available, sizeof available, "%lld", (long long)err->free_bytes);
	info.reason = (char *)err_reason(err->code);
	info.domain = (char *)"imaged.dev";
	info.metadata = pointers;
	for (size_t i = 0; i < ENTRIES; i++) {
		if (!rows[i].wanted)
			continue;
		entries[i] = (Google__Rpc__ErrorInfo__MetadataEntry)GOOGLE__RPC__ERROR_INFO__METADATA_ENTRY__INIT;
		entries[i].key = (char *)rows[i].key;
		entries[i].value = (char *)rows[i].value;
		pointers[info.n_metadata++] = &entries[i];
	}
	return add_detail(status, TYPE_URL "google.rpc.ErrorInfo", &info.base, arena);
}

static bool add_retry(Google__Rpc__Status *status, const struct err *err, struct arena *arena)
{
	Google__Rpc__RetryInfo retry = GOOGLE__RPC__RETRY_INFO__INIT;
	Google__Protobuf__Duration delay = GOOGLE__PROTOBUF__DURATION__INIT;

	if (err->retry_after_ms <= 0)
		return true;
	delay.seconds = err->retry_after_ms / MS_PER_S;
	delay.nanos = (int32_t)(err->retry_after_ms % MS_PER_S) * NS_PER_MS;
	retry.retry_delay = &delay;
	return add_detail(status, TYPE_URL "google.rpc.RetryInfo", &retry.base, arena);
}

static void add_request_id(struct wire_status *s, const char *request_id)
{
	s->trailing[s->n_trailing++] = (grpc_metadata){
		.key = grpc_slice_from_static_string(REQUEST_ID_KEY),
		.value = grpc_slice_from_copied_string(request_id),
	};
}

static void add_details(struct wire_status *s, const struct err *err, char *text, const char *request_id)
{
	enum { ARENA_BYTES = 16 * 1024, DETAILS = 2 };
	Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
	Google__Protobuf__Any *list[DETAILS];
	grpc_metadata *details;
	CLEANUP(arena_free) struct arena arena;

	arena_init(&arena, ARENA_BYTES);
	status.code = s->code;
	status.message = text;
	status.details = list;
	if (!add_info(&status, err, request_id, &arena) || !add_retry(&status, err, &arena))
		return;
	details = &s->trailing[s->n_trailing++];
	*details = (grpc_metadata){ .key = grpc_slice_from_static_string("grpc-status-details-bin") };
	details->value = grpc_slice_malloc(protobuf_c_message_get_packed_size(&status.base));
	protobuf_c_message_pack(&status.base, GRPC_SLICE_START_PTR(details->value));
}

void wire_status_init(struct wire_status *s, const struct err *err, const char *request_id)
{
	char text[ERR_TEXT_MAX];

	*s = (struct wire_status){ .code = GRPC_STATUS_OK, .text = grpc_empty_slice() };
	if (*request_id)
		add_request_id(s, request_id);
	if (!err)
		return;
	snprintf(text, sizeof text, "%s", err->text[0] ? err->text : err_reason(err->code));
	utf8_scrub(text);
	s->code = (grpc_status_code)err_grpc_code(err->code);
	s->text = grpc_slice_from_copied_string(text);
	add_details(s, err, text, request_id);
}

void wire_status_free(struct wire_status *s)
{
	grpc_slice_unref(s->text);
	for (size_t i = 0; i < s->n_trailing; i++)
		grpc_slice_unref(s->trailing[i].value);
	*s = (struct wire_status){ .text = grpc_empty_slice() };
}
