#include <stdio.h>

#include "client/lib/internal.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"

#define ERROR_DOMAIN "imaged.dev"

/* gRPC allows 16 KiB of metadata; what is larger is no status of ours. */
enum { DETAILS_MAX = 16 * 1024 };

/* ---- text --------------------------------------------------------------------------- */

/* Text of a server is shown on terminals: no control characters, whole UTF-8. */
static void copy_text(struct bytes text, char *out, size_t size)
{
	size_t n = text.len < size - 1 ? text.len : size - 1;

	while (n && n < text.len && (text.data[n] & 0xc0) == 0x80)
		n--;
	for (size_t i = 0; i < n; i++) {
		uint8_t c = text.data[i];

		out[i] = (c < ' ' && c != '\n' && c != '\t') || c == 0x7f ? '?' : (char)c;
	}
	while (n && (out[n - 1] == '\n' || out[n - 1] == ' '))
		n--;
	out[n] = 0;
	if (!utf8_valid((struct bytes){ (const uint8_t *)out, n }))
		for (size_t i = 0; i < n; i++)
			out[i] = out[i] & 0x80 ? '?' : out[i];
}

/* ---- details -------------------------------------------------------------------------- */

struct details {
	char reason[CLIENT_REASON_MAX];
	int64_t needed_bytes, free_bytes, retry_after_ms;
};

static int64_t parse_bytes(const char *text)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 10);
	return errno || *end || value < 0 ? 0 : value;
}

/* Programs compare reasons and print them: only what google.rpc allows. */
static bool is_reason(const char *text)
{
	return strlen(text) < CLIENT_REASON_MAX &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == strlen(text);
}

static void read_error_info(const Google__Rpc__ErrorInfo *info, struct details *d)
{
	if (strcmp(info->domain, ERROR_DOMAIN) != 0)
		return; /* somebody else's reasons mean something else */
	if (is_reason(info->reason))
		snprintf(d->reason, sizeof d->reason, "%s", info->reason);
	for (size_t i = 0; i < info->n_metadata; i++) {
		if (!strcmp(info->metadata[i]->key, "needed_bytes"))
			d->needed_bytes = parse_bytes(info->metadata[i]->value);
		else if (!strcmp(info->metadata[i]->key, "free_bytes"))
			d->free_bytes = parse_bytes(info->metadata[i]->value);
	}
}

static void read_retry_info(const Google__Rpc__RetryInfo *info, struct details *d)
{
	enum { LONGEST_S = 365 * 24 * 3600 };
	const Google__Protobuf__Duration *delay = info->retry_delay;

	if (!delay || delay->seconds < 0 || delay->seconds > LONGEST_S || delay->nanos < 0 || delay->nanos > 999999999)
		return;
	d->retry_after_ms = delay->seconds * 1000 + delay->nanos / 1000000;
}

static bool type_is(const Google__Protobuf__Any *any, const ProtobufCMessageDescriptor *type)
{
	const char *slash = strrchr(any->type_url, '/');

	return slash && !strcmp(slash + 1, type->name);
}

static void read_any(const Google__Protobuf__Any *any, struct arena *a, struct details *d)
{
	struct bytes value = { any->value.data, any->value.len };
	ProtobufCMessage *m;

	if (type_is(any, &google__rpc__error_info__descriptor)) {
		if (codec_unpack(&google__rpc__error_info__descriptor, value, a, &m, NULL) == OK)
			read_error_info((const Google__Rpc__ErrorInfo *)m, d);
	} else if (type_is(any, &google__rpc__retry_info__descriptor)) {
		if (codec_unpack(&google__rpc__retry_info__descriptor, value, a, &m, NULL) == OK)
			read_retry_info((const Google__Rpc__RetryInfo *)m, d);
	}
}

/* Details that cannot be read are left out: the status stands without them. */
static void read_details(struct bytes wire, struct details *d)
{
	CLEANUP(arena_free) struct arena a;
	const Google__Rpc__Status *status;
	ProtobufCMessage *m;

	arena_init(&a, codec_arena_cap(DETAILS_MAX));
	if (wire.len > DETAILS_MAX || codec_unpack(&google__rpc__status__descriptor, wire, &a, &m, NULL) < 0)
		return;
	status = (const Google__Rpc__Status *)m;
	for (size_t i = 0; i < status->n_details; i++)
		read_any(status->details[i], &a, d);
}

static void find_details(const grpc_metadata_array *trailing, struct details *d)
{
	for (size_t i = 0; i < trailing->count; i++)
		if (!grpc_slice_str_cmp(trailing->metadata[i].key, "grpc-status-details-bin"))
			read_details(client_wire_bytes(&trailing->metadata[i].value), d);
}

int client_status_to_err(grpc_status_code status, struct bytes text, const grpc_metadata_array *trailing,
			 char ret_reason[CLIENT_REASON_MAX], struct err *err)
{
	struct details d = { 0 };
	char message[ERR_TEXT_MAX];
	int code;

	find_details(trailing, &d);
	memcpy(ret_reason, d.reason, CLIENT_REASON_MAX);
	code = err_code_from((enum grpc_code)status, d.reason[0] ? d.reason : NULL);
	copy_text(text, message, sizeof message);
	fail(err, code, "%s", message[0] ? message : err_reason(code));
	if (err) {
		err->needed_bytes = d.needed_bytes;
		err->free_bytes = d.free_bytes;
		err->retry_after_ms = d.retry_after_ms;
	}
	return code;
}
