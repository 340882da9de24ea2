#include "service/rpc/descriptor_scan.h"

#include "proto/runtime/varint.h"

/* Field numbers of google/protobuf/descriptor.proto. */
enum { FILE_MESSAGE = 4, FILE_EXTENSION = 7, MESSAGE_NESTED = 3, MESSAGE_EXTENSION = 6 };
enum { FIELD_EXTENDEE = 2, FIELD_NUMBER = 3 };
enum { WIRE_VARINT = 0, WIRE_64BIT = 1, WIRE_BYTES = 2, WIRE_32BIT = 5 };
enum { DEPTH_MAX = 32 };

struct field {
	uint64_t number;
	uint64_t varint;
	struct bytes bytes;
};

struct scan {
	bool (*fn)(void *arg, const struct extension_found *extension);
	void *arg;
};

static bool skip(struct bytes *in, uint64_t n)
{
	if (n > in->len)
		return false;
	in->data += n;
	in->len -= n;
	return true;
}

/* False at the end and at what is no descriptor. */
static bool next_field(struct bytes *in, struct field *f)
{
	uint64_t tag, len;

	*f = (struct field){ 0 };
	if (!take_varint(in, &tag))
		return false;
	f->number = tag >> 3;
	switch (tag & 7) {
	case WIRE_VARINT:
		return take_varint(in, &f->varint);
	case WIRE_64BIT:
		return skip(in, sizeof(uint64_t));
	case WIRE_32BIT:
		return skip(in, sizeof(uint32_t));
	case WIRE_BYTES:
		if (!take_varint(in, &len))
			return false;
		f->bytes = (struct bytes){ in->data, len };
		return skip(in, len);
	default:
		return false;
	}
}

static bool scan_extension(const struct scan *s, struct bytes in)
{
	struct extension_found found = { 0 };
	struct field f;

	while (next_field(&in, &f)) {
		if (f.number == FIELD_EXTENDEE)
			found.extendee = f.bytes;
		if (f.number == FIELD_NUMBER)
			found.number = (int32_t)f.varint;
	}
	return s->fn(s->arg, &found);
}

static bool scan_message(const struct scan *s, struct bytes in, int depth)
{
	struct field f;
	bool go_on = depth < DEPTH_MAX;

	while (go_on && next_field(&in, &f)) {
		if (f.number == MESSAGE_EXTENSION)
			go_on = scan_extension(s, f.bytes);
		else if (f.number == MESSAGE_NESTED)
			go_on = scan_message(s, f.bytes, depth + 1);
	}
	return go_on;
}

void descriptor_scan_extensions(struct bytes file, bool (*fn)(void *arg, const struct extension_found *extension),
				void *arg)
{
	struct scan s = { fn, arg };
	struct field f;
	bool go_on = true;

	while (go_on && next_field(&file, &f)) {
		if (f.number == FILE_EXTENSION)
			go_on = scan_extension(&s, f.bytes);
		else if (f.number == FILE_MESSAGE)
			go_on = scan_message(&s, f.bytes, 0);
	}
}
