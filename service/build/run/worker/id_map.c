#include "service/build/run/worker/id_map.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <spawn.h>
#include <sys/wait.h>

#include "proto/runtime/buf.h"

enum { FILE_MAX = 1 << 20, ARGUMENTS_MAX = 2 + 3 * ID_RANGES_MAX + 1 };

/* ---- /etc/subuid ---------------------------------------------------------------- */

static bool parse_number(struct bytes b, uint32_t *ret_number)
{
	uint64_t value = 0;

	if (!b.len || b.len > 10)
		return false;
	for (size_t i = 0; i < b.len; i++) {
		if (b.data[i] < '0' || b.data[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(b.data[i] - '0');
	}
	*ret_number = (uint32_t)value;
	return value && value < UINT32_MAX;
}

static struct bytes take_until(struct bytes *rest, char separator)
{
	const uint8_t *at = rest->len ? memchr(rest->data, separator, rest->len) : NULL;
	struct bytes taken = { rest->data, at ? (size_t)(at - rest->data) : rest->len };
	size_t skip = taken.len + (at ? 1 : 0);

	*rest = (struct bytes){ rest->data ? rest->data + skip : NULL, rest->len - skip };
	return taken;
}

static bool is_text(struct bytes b, const char *text)
{
	return b.len == strlen(text) && !memcmp(b.data, text, b.len);
}

void id_map_parse(struct bytes text, const char *name, uint32_t own, struct id_map *ret_map)
{
	struct id_map map = { .range = { { 0, own, 1 } }, .n = 1 };
	char number[16];
	uint32_t next = 1;

	snprintf(number, sizeof number, "%" PRIu32, own);
	while (text.len && map.n < ID_RANGES_MAX) {
		struct bytes line = take_until(&text, '\n'), who = take_until(&line, ':');
		uint32_t first, count;

		if (!is_text(who, number) && !(name && is_text(who, name)))
			continue;
		if (!parse_number(take_until(&line, ':'), &first) || !parse_number(line, &count) ||
		    count > UINT32_MAX - first || count > INT32_MAX - next)
			continue;
		map.range[map.n++] = (struct id_range){ next, first, count };
		next += count;
	}
	*ret_map = map;
}

static void read_map(const char *path, const char *name, uint32_t own, struct id_map *ret_map)
{
	CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	CLEANUP(freep) char *text = malloc(FILE_MAX);
	ssize_t n = fd < 0 || !text ? -1 : read(fd, text, FILE_MAX);

	id_map_parse((struct bytes){ (const uint8_t *)text, n > 0 ? (size_t)n : 0 }, name, own, ret_map);
}

/* ---- all of them ------------------------------------------------------------------ */

/* newuidmap PID INSIDE OUTSIDE COUNT... */
static bool run_mapper(const char *program, pid_t pid, const struct id_map *m)
{
	char numbers[ARGUMENTS_MAX][16];
	const char *argv[ARGUMENTS_MAX + 1];
	static char *const environment[] = { NULL };
	pid_t child;
	size_t n = 0;
	int status;

	argv[n++] = program;
	snprintf(numbers[n], sizeof numbers[n], "%d", pid);
	argv[n] = numbers[n];
	n++;
	for (size_t i = 0; i < m->n; i++) {
		const uint32_t values[] = { m->range[i].inside, m->range[i].outside, m->range[i].count };

		for (size_t k = 0; k < ARRAY_LEN(values); k++, n++) {
			snprintf(numbers[n], sizeof numbers[n], "%" PRIu32, values[k]);
			argv[n] = numbers[n];
		}
	}
	argv[n] = NULL;
	if (posix_spawnp(&child, program, NULL, NULL, (char *const *)argv, environment))
		return false;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

static bool map_all(pid_t pid)
{
	struct id_map users, groups;
	const struct passwd *own = getpwuid(getuid());
	const char *name = own ? own->pw_name : NULL;

	read_map("/etc/subuid", name, getuid(), &users);
	read_map("/etc/subgid", name, getgid(), &groups);
	return users.n > 1 && groups.n > 1 && run_mapper("newgidmap", pid, &groups) &&
	       run_mapper("newuidmap", pid, &users);
}

/* ---- one ------------------------------------------------------------------------------ */

static bool write_proc(pid_t pid, const char *name, const char *text)
{
	char path[64];
	CLEANUP(closep) int fd = -1;

	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static bool map_one(pid_t pid)
{
	char users[32], groups[32];

	snprintf(users, sizeof users, "0 %u 1", getuid());
	snprintf(groups, sizeof groups, "0 %u 1", getgid());
	return write_proc(pid, "setgroups", "deny") && write_proc(pid, "gid_map", groups) &&
	       write_proc(pid, "uid_map", users);
}

int id_map_apply(pid_t pid, bool single, bool *ret_single, struct err *err)
{
	*ret_single = single || !map_all(pid);
	if (*ret_single && !map_one(pid))
		return fail(err, E_UNSUPPORTED, "build steps without root need user namespaces, which refuse: %s",
			    strerrordesc_np(errno));
	return OK;
}
