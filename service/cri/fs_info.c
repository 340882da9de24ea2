/* ImageFsInfo: also the question by which clients find out whether anybody is there. */
#include "proto/runtime/clock.h"
#include "service/cri/handlers.h"

static int number(struct arena *a, int64_t value, Runtime__V1__UInt64Value **ret_message, struct err *err)
{
	*ret_message = arena_alloc(a, sizeof(**ret_message));
	if (!*ret_message)
		return fail_nomem(err);
	runtime__v1__uint64_value__init(*ret_message);
	(*ret_message)->value = (uint64_t)value;
	return OK;
}

static int usage_message(struct store *s, struct arena *a, Runtime__V1__FilesystemUsage **ret_message, struct err *err)
{
	Runtime__V1__FilesystemUsage *m = arena_alloc(a, sizeof *m);
	struct store_used used;

	if (!m)
		return fail_nomem(err);
	store_used(s, &used);
	runtime__v1__filesystem_usage__init(m);
	m->timestamp = clock_wall_ns();
	m->fs_id = arena_alloc(a, sizeof *m->fs_id);
	if (!m->fs_id || number(a, used.bytes, &m->used_bytes, err) < 0 ||
	    number(a, used.files, &m->inodes_used, err) < 0)
		return fail_nomem(err);
	runtime__v1__filesystem_identifier__init(m->fs_id);
	m->fs_id->mountpoint = (char *)store_root(s);
	*ret_message = m;
	return OK;
}

int cri_image_fs_info(void *self, struct rpc_call *call, UNUSED const Runtime__V1__ImageFsInfoRequest *request,
		      Runtime__V1__ImageFsInfoResponse *response, struct err *err)
{
	struct cri_service *service = self;
	struct arena *a = rpc_call_arena(call);

	response->image_filesystems = arena_array(a, 1, sizeof *response->image_filesystems);
	if (!response->image_filesystems)
		return fail_nomem(err);
	if (usage_message(service->images->store, a, &response->image_filesystems[0], err) < 0)
		return err->code;
	response->n_image_filesystems = 1;
	return OK;
}
