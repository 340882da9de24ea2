#include "service/layer/archive_protocol.h"

#include <stdbool.h>
#include <string.h>

void walk_request_init(struct walk_request *r, uint64_t offset, const uint8_t block[WALK_BLOCK_BYTES])
{
	*r = (struct walk_request){ .version = WALK_PROTOCOL_VERSION, .type = WALK_BLOCK, .offset = offset };
	memcpy(r->block, block, sizeof r->block);
}

void walk_answer_init(struct walk_answer *a, enum walk_type type, uint64_t offset)
{
	memset(a, 0, sizeof *a);
	a->version = WALK_PROTOCOL_VERSION;
	a->type = (uint16_t)type;
	a->offset = offset;
}

/* ---- the checks --------------------------------------------------------------- */

static int check_head(uint16_t version, size_t len, size_t wanted, struct err *err)
{
	if (len != wanted)
		return fail(err, E_WORKER, "message of %zu bytes instead of %zu", len, wanted);
	if (version != WALK_PROTOCOL_VERSION)
		return fail(err, E_WORKER,
			    "protocol version %u where this program speaks %d: imaged and imaged-layer must come "
			    "from one installation",
			    version, WALK_PROTOCOL_VERSION);
	return OK;
}

static bool is_place(uint64_t offset)
{
	return offset <= walk_place_max && offset % WALK_BLOCK_BYTES == 0;
}

int walk_request_check(const struct walk_request *r, size_t len, struct err *err)
{
	int rc = check_head(r->version, len, sizeof *r, err);

	if (rc != OK)
		return rc;
	if (r->type != WALK_BLOCK || r->reserved || !is_place(r->offset))
		return fail(err, E_WORKER, "message of type %u with a bad field", r->type);
	return OK;
}

static bool is_zero(const char *bytes, size_t len)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, len - 1);
}

/* Ended by a NUL within `max`, and nothing after it. */
static bool is_text(const char room[WALK_NAME_ROOM], size_t max)
{
	size_t len = strnlen(room, WALK_NAME_ROOM);

	return len <= max && is_zero(room + len, WALK_NAME_ROOM - len);
}

static bool is_link(uint32_t kind)
{
	return kind == TAR_ENTRY_SYMLINK || kind == TAR_ENTRY_HARDLINK;
}

static bool places_fit(const struct walk_answer *a, uint64_t offset)
{
	uint64_t begin = offset + WALK_BLOCK_BYTES;

	if (a->data_offset != begin || begin > walk_place_max || a->size > walk_place_max - begin)
		return false;
	return a->next == begin + a->size + -a->size % WALK_BLOCK_BYTES;
}

static bool entry_is_sound(const struct walk_answer *a, uint64_t offset)
{
	bool has_data = a->kind == TAR_ENTRY_REGULAR || a->kind == TAR_ENTRY_OTHER;

	return a->kind <= TAR_ENTRY_OTHER && places_fit(a, offset) && (has_data || !a->size) && !a->code &&
	       is_text(a->name, WALK_NAME_MAX) && is_text(a->link, WALK_NAME_MAX) && (is_link(a->kind) || !a->link[0]);
}

static bool other_is_sound(const struct walk_answer *a, uint64_t offset)
{
	uint64_t next = a->type == WALK_FAILED ? 0 : offset + WALK_BLOCK_BYTES;

	if (a->next != next || a->data_offset || a->size || !is_zero(a->link, sizeof a->link))
		return false;
	if (a->type == WALK_FAILED)
		return !a->kind && layer_code_allowed(a->code) && is_text(a->name, LAYER_TEXT_MAX - 1);
	return a->kind <= (a->type == WALK_NEED) && !a->code && is_zero(a->name, sizeof a->name);
}

int walk_answer_check(const struct walk_answer *a, size_t len, uint64_t offset, struct err *err)
{
	int rc = check_head(a->version, len, sizeof *a, err);
	bool sound;

	if (rc != OK)
		return rc;
	if (a->type < WALK_NEED || a->type > WALK_FAILED)
		return fail(err, E_WORKER, "message of unknown type %u", a->type);
	if (a->offset != offset)
		return fail(err, E_WORKER, "an answer to a block that it was not given");
	sound = a->type == WALK_ENTRY ? entry_is_sound(a, offset) : other_is_sound(a, offset);
	if (!sound || a->reserved)
		return fail(err, E_WORKER, "message of type %u with a bad field", a->type);
	return OK;
}

/* ---- packets ------------------------------------------------------------------ */

int walk_request_send(int socket, const struct walk_request *r, int flags, struct err *err)
{
	return layer_packet_send(socket, r, sizeof *r, flags, err);
}

int walk_answer_send(int socket, const struct walk_answer *a, struct err *err)
{
	return layer_packet_send(socket, a, sizeof *a, 0, err);
}

int walk_request_receive(int socket, struct walk_request *ret_request, struct err *err)
{
	size_t len = 0;
	int rc = layer_packet_receive(socket, ret_request, sizeof *ret_request, 0, &len, err);

	return rc == OK ? walk_request_check(ret_request, len, err) : rc;
}

int walk_answer_receive(int socket, int flags, uint64_t offset, struct walk_answer *ret_answer, struct err *err)
{
	size_t len = 0;
	int rc = layer_packet_receive(socket, ret_answer, sizeof *ret_answer, flags, &len, err);

	return rc == OK ? walk_answer_check(ret_answer, len, offset, err) : rc;
}
