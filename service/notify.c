#include "service/notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "proto/runtime/mem.h"

static struct sockaddr_un address;
static socklen_t address_len;
static int64_t watchdog_ms;

/* Only what it says to this process counts: a shell in between may have handed it on. */
static void watchdog_init(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (usec && (!pid || strtoll(pid, NULL, 10) == getpid()))
		watchdog_ms = strtoll(usec, NULL, 10) / 1000;
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void notify_init(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;

	if (len > 1 && len < sizeof address.sun_path && (*path == '/' || *path == '@')) {
		address.sun_family = AF_UNIX;
		memcpy(address.sun_path, path, len);
		if (*path == '@')
			address.sun_path[0] = 0; /* abstract */
		address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	}
	unsetenv("NOTIFY_SOCKET");
	watchdog_init();
}

int64_t notify_watchdog_ms(void)
{
	return address_len && watchdog_ms > 0 ? watchdog_ms : 0;
}

void notify_state(const char *state)
{
	CLEANUP(closep) int fd = -1;

	if (!address_len)
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, address_len);
}
