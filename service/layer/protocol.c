#include "service/layer/protocol.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/runtime/mem.h"
#include "store/types/manifest.h"

#define PAYLOAD(member) sizeof(((struct layer_message *)0)->u.member)

struct rule {
	uint16_t type;
	enum layer_sender sender;
	size_t payload; /* bytes of u that have a meaning */
};

static const struct rule rules[] = {
	{ LAYER_BEGIN, LAYER_FROM_DAEMON, PAYLOAD(begin) },
	{ LAYER_AVAILABLE, LAYER_FROM_DAEMON, PAYLOAD(available) },
	{ LAYER_END, LAYER_FROM_DAEMON, PAYLOAD(available) },
	{ LAYER_CANCEL, LAYER_FROM_DAEMON, 0 },
	{ LAYER_FILTER, LAYER_FROM_DAEMON, PAYLOAD(filter) },
	{ LAYER_STREAM, LAYER_FROM_DAEMON, 0 },
	{ LAYER_IMAGE, LAYER_FROM_DAEMON, PAYLOAD(image) },
	{ LAYER_READY, LAYER_FROM_WORKER, PAYLOAD(ready) },
	{ LAYER_PROGRESS, LAYER_FROM_WORKER, PAYLOAD(progress) },
	{ LAYER_RESULT, LAYER_FROM_WORKER, PAYLOAD(result) },
	{ LAYER_FAILED, LAYER_FROM_WORKER, PAYLOAD(failed) },
	{ LAYER_CANCELLED, LAYER_FROM_WORKER, 0 },
	{ LAYER_IMAGED, LAYER_FROM_WORKER, PAYLOAD(imaged) },
};

static const struct {
	uint32_t bit;
	const char *name;
} sandbox_names[] = {
	{ SANDBOX_USERNS, "userns" },
	{ SANDBOX_UID, "uid" },
	{ SANDBOX_SECCOMP, "seccomp" },
	{ SANDBOX_RLIMITS, "rlimits" },
	{ SANDBOX_NO_NEW_PRIVS, "no-new-privs" },
	{ SANDBOX_NO_CAPABILITIES, "no-capabilities" },
	{ SANDBOX_LANDLOCK, "landlock" },
	{ SANDBOX_NAMESPACES, "namespaces" },
};

char *layer_sandbox_text(uint32_t sandbox, char *out, size_t size)
{
	size_t used = 0;

	assert(size);
	out[0] = 0;
	for (size_t i = 0; i < ARRAY_LEN(sandbox_names); i++) {
		int n;

		if (!(sandbox & sandbox_names[i].bit))
			continue;
		n = snprintf(out + used, size - used, "%s%s", used ? "," : "", sandbox_names[i].name);
		if (n < 0 || (size_t)n >= size - used) {
			out[used] = 0;
			break;
		}
		used += (size_t)n;
	}
	return out;
}

struct layer_message layer_message_of(enum layer_message_type type, uint32_t layer)
{
	struct layer_message m;

	memset(&m, 0, sizeof m);
	m.version = LAYER_PROTOCOL_VERSION;
	m.type = (uint16_t)type;
	m.layer = layer;
	return m;
}

static const struct rule *rule_of(uint16_t type, enum layer_sender sender)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (rules[i].type == type && rules[i].sender == sender)
			return &rules[i];
	return NULL;
}

/* ---- the checks of each type ---------------------------------------------- */

static bool is_size(uint64_t n)
{
	return n <= INT64_MAX;
}

static bool is_limit(uint64_t n)
{
	return n && n <= INT64_MAX;
}

static bool is_text(const char text[LAYER_TEXT_MAX])
{
	return memchr(text, 0, LAYER_TEXT_MAX) != NULL;
}

bool layer_code_allowed(int32_t code)
{
	switch (code) {
	case E_BAD_CONTENT:
	case E_LIMIT:
	case E_UNSUPPORTED:
	case E_NO_MEMORY:
	case E_DISK_FULL:
	case E_IO:
	case E_WORKER:
		return true;
	default:
		return false;
	}
}

static bool limits_are_sound(const struct layer_limits *l)
{
	return is_limit(l->tar_bytes) && is_limit(l->ratio) && is_limit(l->entries) && is_limit(l->zstd_window);
}

static bool image_limits_are_sound(const struct layer_image_limits *l)
{
	return is_limit(l->entries) && is_limit(l->file_bytes) && is_limit(l->image_bytes) && is_limit(l->tree_bytes) &&
	       is_limit(l->xattr_bytes) && l->drop_trusted <= 1;
}

static bool imaged_is_sound(const struct layer_message *m)
{
	return m->layer && is_size(m->u.imaged.image_bytes) && is_size(m->u.imaged.tar_bytes) &&
	       is_size(m->u.imaged.entries) && is_size(m->u.imaged.inodes) && m->u.imaged.root_is_opaque <= 1;
}

static bool begin_is_sound(const struct layer_message *m)
{
	return m->layer && m->u.begin.compression <= COMPRESSION_ZSTD && m->u.begin.counts_only <= 1 &&
	       limits_are_sound(&m->u.begin.limits);
}

static bool fields_are_sound(const struct layer_message *m)
{
	switch (m->type) {
	case LAYER_BEGIN:
		return begin_is_sound(m);
	case LAYER_FILTER:
		return m->layer && limits_are_sound(&m->u.filter.limits);
	case LAYER_IMAGE:
		return m->layer && image_limits_are_sound(&m->u.image.limits);
	case LAYER_IMAGED:
		return imaged_is_sound(m);
	case LAYER_AVAILABLE:
	case LAYER_END:
		return m->layer && is_size(m->u.available.bytes);
	case LAYER_READY:
		return !m->layer && !(m->u.ready.sandbox & ~(uint32_t)SANDBOX_ALL) && is_text(m->u.ready.note);
	case LAYER_PROGRESS:
		return m->layer && is_size(m->u.progress.read) && is_size(m->u.progress.written);
	case LAYER_RESULT:
		return m->layer && is_size(m->u.result.tar_bytes) && is_size(m->u.result.files_bytes) &&
		       is_size(m->u.result.entries) && m->u.result.end_mark <= 1;
	case LAYER_FAILED:
		return layer_code_allowed(m->u.failed.code) && m->u.failed.at_end <= 1 && is_text(m->u.failed.text);
	default: /* CANCEL, CANCELLED and STREAM */
		return m->layer;
	}
}

static bool rest_is_zero(const struct layer_message *m, size_t payload)
{
	for (size_t i = payload; i < sizeof m->u; i++)
		if (m->u.bytes[i])
			return false;
	return true;
}

int layer_message_check(const struct layer_message *m, size_t len, enum layer_sender sender, struct err *err)
{
	const struct rule *rule;

	if (len != sizeof *m)
		return fail(err, E_WORKER, "message of %zu bytes instead of %zu", len, sizeof *m);
	if (m->version != LAYER_PROTOCOL_VERSION)
		return fail(err, E_WORKER,
			    "protocol version %u where this program speaks %d: imaged and imaged-layer must come "
			    "from one installation",
			    m->version, LAYER_PROTOCOL_VERSION);
	rule = rule_of(m->type, sender);
	if (!rule)
		return fail(err, E_WORKER, "message of unknown type %u", m->type);
	if (!fields_are_sound(m) || !rest_is_zero(m, rule->payload))
		return fail(err, E_WORKER, "message of type %u with a bad field", m->type);
	return OK;
}

/* ---- packets -------------------------------------------------------------- */

union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

static void attach_fd(struct msghdr *packet, union control *control, int fd)
{
	struct cmsghdr *c;

	memset(control, 0, sizeof *control);
	packet->msg_control = control->room;
	packet->msg_controllen = sizeof control->room;
	c = CMSG_FIRSTHDR(packet);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
}

static int fail_socket(struct err *err, const char *what)
{
	switch (errno) {
	case EAGAIN:
	case ENOBUFS:
		return fail(err, E_BUSY, "%s: not now", what);
	case EPIPE:
	case ECONNRESET:
		return fail(err, E_UNAVAILABLE, "%s: the other end has closed", what);
	default:
		return fail_errno(err, "%s", what);
	}
}

static int send_packet(int socket, const struct msghdr *packet, size_t len, int flags, struct err *err)
{
	ssize_t n;

	do
		n = sendmsg(socket, packet, flags | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail_socket(err, "send a message");
	return (size_t)n == len ? OK : fail(err, E_WORKER, "a message was cut");
}

int layer_message_send(int socket, const struct layer_message *m, int fd, int flags, struct err *err)
{
	struct iovec io = { .iov_base = (void *)m, .iov_len = sizeof *m };
	struct msghdr packet = { .msg_iov = &io, .msg_iovlen = 1 };
	union control control;

	if (fd >= 0)
		attach_fd(&packet, &control, fd);
	return send_packet(socket, &packet, sizeof *m, flags, err);
}

int layer_packet_send(int socket, const void *data, size_t len, int flags, struct err *err)
{
	struct iovec io = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr packet = { .msg_iov = &io, .msg_iovlen = 1 };

	return send_packet(socket, &packet, len, flags, err);
}

static int receive_packet(int socket, struct msghdr *packet, int flags, size_t *ret_len, struct err *err)
{
	ssize_t n;

	do
		n = recvmsg(socket, packet, flags | MSG_TRUNC | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail_socket(err, "receive a message");
	if (n == 0)
		return fail(err, E_UNAVAILABLE, "receive a message: the other end has closed");
	*ret_len = (size_t)n;
	return OK;
}

int layer_packet_receive(int socket, void *data, size_t size, int flags, size_t *ret_len, struct err *err)
{
	struct iovec io = { .iov_base = data, .iov_len = size };
	struct msghdr packet = { .msg_iov = &io, .msg_iovlen = 1 };

	return receive_packet(socket, &packet, flags, ret_len, err);
}

/* The first descriptor of the packet, or -1. The room is for one: the kernel keeps
 * back what is more. */
static int received_fd(struct msghdr *packet)
{
	int fd = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(packet); c; c = CMSG_NXTHDR(packet, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof fd))
			memcpy(&fd, CMSG_DATA(c), sizeof fd);
	return fd;
}

static bool brings_fd(uint16_t type)
{
	return type == LAYER_BEGIN || type == LAYER_STREAM || type == LAYER_IMAGE;
}

static int check_fd(const struct layer_message *m, const struct msghdr *packet, int fd, struct err *err)
{
	if (packet->msg_flags & MSG_CTRUNC)
		return fail(err, E_WORKER, "message with descriptors that cannot be taken");
	if ((fd >= 0) != brings_fd(m->type))
		return fail(err, E_WORKER, "message of type %u %s a descriptor", m->type, fd >= 0 ? "with" : "without");
	return OK;
}

int layer_message_receive(int socket, int flags, enum layer_sender sender, struct layer_message *ret_message,
			  int *ret_fd, struct err *err)
{
	struct layer_message m;
	struct iovec io = { .iov_base = &m, .iov_len = sizeof m };
	struct msghdr packet = { .msg_iov = &io, .msg_iovlen = 1 };
	union control control;
	CLEANUP(closep) int fd = -1;
	size_t len = 0;
	int rc;

	if (ret_fd) {
		packet.msg_control = control.room;
		packet.msg_controllen = sizeof control.room;
	}
	rc = receive_packet(socket, &packet, flags, &len, err);
	if (rc != OK)
		return rc;
	if (ret_fd)
		fd = received_fd(&packet);
	rc = layer_message_check(&m, len, sender, err);
	if (rc == OK && ret_fd)
		rc = check_fd(&m, &packet, fd, err);
	if (rc != OK)
		return rc;
	*ret_message = m;
	if (ret_fd)
		*ret_fd = take_fd(&fd);
	return OK;
}

void layer_text_clean(const char *text, size_t len, char *out, size_t size)
{
	size_t n = 0;

	assert(size);
	for (; n < len && n + 1 < size && text[n]; n++)
		out[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
	out[n] = 0;
}
