/* ListMounts. A page's token says how old its last mount is, and which. */
#include <stdio.h>

#include "service/image/image_service.h"
#include "service/image/mount_message.h"

enum { SIZE_DEFAULT = 100, SIZE_LARGEST = 500, CREATED_DIGITS = 16 };

/* A mount that came before this place is on an earlier page. */
struct place {
	uint64_t created_ns;
	struct mount_id id;
};

static int parse_token(const char *text, struct place *ret_place, struct err *err)
{
	size_t len = strlen(text);
	char created[CREATED_DIGITS + 1], *end;

	if (len == CREATED_DIGITS + MOUNT_ID_TEXT_MAX - 1 &&
	    mount_id_parse((struct bytes){ (const uint8_t *)text + CREATED_DIGITS, len - CREATED_DIGITS },
			   &ret_place->id)) {
		snprintf(created, sizeof created, "%s", text);
		ret_place->created_ns = strtoull(created, &end, 16);
		if (!*end)
			return OK;
	}
	return fail(err, E_INVALID, "page_token is not one that ListMounts gave out");
}

static char *token_of(struct arena *a, const struct mount_entry *e)
{
	char id[MOUNT_ID_TEXT_MAX];

	return arena_printf(a, "%016llx%s", (unsigned long long)e->record->created_ns, mount_id_text(&e->id, id));
}

static bool is_after(const struct mount_entry *e, const struct place *p)
{
	uint64_t created = (uint64_t)e->record->created_ns;

	if (created != p->created_ns)
		return created > p->created_ns;
	return memcmp(e->id.bytes, p->id.bytes, sizeof p->id.bytes) > 0;
}

/* Of n entries, those from `at` on. */
static int fill(struct arena *a, const struct mount_entry *entries, size_t at, size_t n, size_t limit,
		Imaged__V1__ListMountsResponse *m, struct err *err)
{
	m->mounts = arena_array(a, limit + 1, sizeof(Imaged__V1__Mount *));
	if (!m->mounts)
		return fail_nomem(err);
	for (size_t i = at; i < n && m->n_mounts < limit; i++) {
		Imaged__V1__Mount *mount = mount_message(a, &entries[i]);

		if (!mount)
			return fail_nomem(err);
		m->mounts[m->n_mounts++] = mount;
	}
	m->next_page_token = n - at > limit ? token_of(a, &entries[at + limit - 1]) : arena_string(a, "");
	return m->next_page_token ? OK : fail_nomem(err);
}

int list_mounts(void *self, struct rpc_call *call, const Imaged__V1__ListMountsRequest *request,
		Imaged__V1__ListMountsResponse *response, struct err *err)
{
	struct image_service *service = self;
	size_t limit = !request->page_size		   ? SIZE_DEFAULT
		       : request->page_size > SIZE_LARGEST ? SIZE_LARGEST
							   : (size_t)request->page_size;
	struct place place = { 0 };
	struct arena *a = NULL;
	struct mount_entry *entries;
	size_t n, at = 0;

	if (require_unix_socket(call, err) < 0)
		return err->code;
	if (request->page_size < 0)
		return fail(err, E_INVALID, "page_size is negative");
	if ((*request->page_token && parse_token(request->page_token, &place, err) < 0) ||
	    answer_arena(call, &a, err) < 0 || mounts_list(service->mounts, a, &entries, &n, err) < 0)
		return err->code;
	while (*request->page_token && at < n && !is_after(&entries[at], &place))
		at++;
	return fill(a, entries, at, n, limit, response, err);
}
