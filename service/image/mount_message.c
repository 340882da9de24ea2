#include "service/image/mount_message.h"

#include "store/record.h"

static char *digest_text_of(struct arena *a, ProtobufCBinaryData data)
{
	struct digest d;

	return digest_from_data(data, &d, NULL) == OK ? digest_message(a, &d) : arena_string(a, "");
}

Imaged__V1__Mount *mount_message(struct arena *a, const struct mount_entry *e)
{
	enum { NS_PER_S = 1000000000 };
	const Imaged__Store__V1__MountRecord *r = e->record;
	Imaged__V1__Mount *m = arena_alloc(a, sizeof *m);
	char id[MOUNT_ID_TEXT_MAX];

	if (!m)
		return NULL;
	imaged__v1__mount__init(m);
	m->id = arena_string(a, mount_id_text(&e->id, id));
	m->target = r->target;
	m->image = r->image;
	m->image_id = digest_text_of(a, r->config);
	m->manifest_digest = digest_text_of(a, r->manifest);
	m->read_write = r->read_write;
	m->allow_devices = r->allow_devices;
	m->allow_setuid = r->allow_setuid;
	m->way = (Imaged__V1__MountWay)r->way;
	m->layers = r->layers;
	m->created = time_message(a, r->created_ns / NS_PER_S, (int32_t)(r->created_ns % NS_PER_S));
	return m->id && m->image_id && m->manifest_digest && m->created ? m : NULL;
}

int require_unix_socket(struct rpc_call *call, struct err *err)
{
	if (rpc_call_identity(call)->kind == IDENTITY_UNIX)
		return OK;
	return fail(err, E_DENIED, "mounts are for callers on the service's machine: use its unix socket");
}
