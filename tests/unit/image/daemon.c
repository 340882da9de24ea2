#include "tests/unit/image/daemon.h"

enum { MESSAGE_BYTES = 4 * 1024 * 1024 };

int daemon_start(void **state)
{
	static const struct rpc_server_options defaults;
	struct daemon *d = calloc(1, sizeof *d);
	struct err err = ERR_INIT;
	struct rpc_binding binding;

	assert_non_null(d);
	fixture_setup((void **)&d->fixture);
	d->store = d->fixture->store;
	d->service.store = d->store;
	d->service.worker_program = IMAGED_LAYER;
	d->service.platform = platform_host();
	snprintf(d->address, sizeof d->address, "unix://%s/test.sock", d->fixture->root);
	assert_ok(mounts_new(d->store, &d->service.mounts, &err), &err);
	binding = image_service_binding(&d->service);
	assert_ok(rpc_server_new(&defaults, NULL, NULL, &d->server, &err), &err);
	assert_ok(rpc_server_add(d->server, &binding, &err), &err);
	assert_ok(rpc_server_listen(d->server, d->address, NULL, &err), &err);
	assert_ok(rpc_server_start(d->server, &err), &err);
	assert_ok(
		rpc_channel_open(&(struct rpc_channel_options){ .address = d->address, .message_bytes = MESSAGE_BYTES },
				 &d->channel, &err),
		&err);
	*state = d;
	return 0;
}

int daemon_stop(void **state)
{
	struct daemon *d = *state;

	rpc_channel_close(d->channel);
	rpc_server_free(d->server);
	mounts_free(d->service.mounts);
	fixture_teardown((void **)&d->fixture);
	free(d);
	return 0;
}
