#include "tests/unit/rpc/rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "proto/runtime/clock.h"

#if defined(__SANITIZE_THREAD__)
#define RIG_TSAN
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RIG_TSAN
#endif
#endif

static void note_end(void *arg, const struct rpc_event *event)
{
	struct rig *r = arg;

	pthread_mutex_lock(&r->mu);
	if (event->err) {
		r->logged++;
		r->last_code = event->err->code;
		snprintf(r->last_text, sizeof r->last_text, "%s", event->err->text);
		snprintf(r->last_peer, sizeof r->last_peer, "%s", event->peer ? event->peer : "");
	}
	pthread_mutex_unlock(&r->mu);
}

struct rig *rig_prepare(const struct rpc_server_options *options)
{
	static const struct rpc_server_options defaults;
	struct rig *r = calloc(1, sizeof *r);
	struct rpc_binding binding;
	struct err err = ERR_INIT;

	assert_non_null(r);
	pthread_mutex_init(&r->mu, NULL);
	snprintf(r->dir, sizeof r->dir, "/tmp/imaged-rpc.XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	snprintf(r->address, sizeof r->address, "unix://%s/s.sock", r->dir);
	binding = echo_service_binding(&r->service);
	assert_int_equal(rpc_server_new(options ? options : &defaults, note_end, r, &r->server, &err), OK);
	assert_int_equal(rpc_server_add(r->server, &binding, &err), OK);
	assert_int_equal(rpc_server_listen(r->server, r->address, NULL, &err), OK);
	return r;
}

void rig_start(struct rig *r)
{
	struct err err = ERR_INIT;

	assert_int_equal(rpc_server_start(r->server, &err), OK);
	r->channel = rig_connect(r->address);
}

struct rpc_channel *rig_connect(const char *address)
{
	struct rpc_channel_options options = { .address = address };
	struct rpc_channel *channel;
	struct err err = ERR_INIT;

	assert_int_equal(rpc_channel_open(&options, &channel, &err), OK);
	return channel;
}

struct rig *rig_new(const struct rpc_server_options *options)
{
	struct rig *r = rig_prepare(options);

	rig_start(r);
	return r;
}

void rig_free(struct rig *r)
{
	if (!r)
		return;
	rpc_channel_close(r->channel);
	rpc_server_free(r->server);
	/* The server has removed its socket: nothing may be left but the tests' files. */
	assert_int_equal(rmdir(r->dir), 0);
	pthread_mutex_destroy(&r->mu);
	free(r);
}

void rig_freep(struct rig **r)
{
	rig_free(*r);
}

unsigned rig_logged(struct rig *r)
{
	unsigned logged;

	pthread_mutex_lock(&r->mu);
	logged = r->logged;
	pthread_mutex_unlock(&r->mu);
	return logged;
}

void rig_forget_log(struct rig *r)
{
	pthread_mutex_lock(&r->mu);
	r->logged = 0;
	pthread_mutex_unlock(&r->mu);
}

int rig_last_code(struct rig *r)
{
	int code;

	pthread_mutex_lock(&r->mu);
	code = r->last_code;
	pthread_mutex_unlock(&r->mu);
	return code;
}

void rig_pause(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
}

size_t rig_rss_anon(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	unsigned long kib = 0;

	assert_non_null(f);
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "RssAnon: %lu", &kib) == 1)
			break;
	fclose(f);
	assert_int_not_equal(kib, 0);
#ifdef RIG_TSAN
	kib = 0;
#endif
	return kib * 1024;
}

char *rig_path(const struct rig *r, const char *name)
{
	char *path = format("%s/%s", r->dir, name);

	assert_non_null(path);
	return path;
}
