/*
 * Input: a config.json. Whatever it holds, credentials come out whole or not at all, and
 * those of a part of a registry only for that part. Helpers are looked for in a PATH
 * where there are none.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/cli/docker_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check(int r, struct login *l)
{
	bool whole = l->username && l->password && l->identity_token && l->registry_token;

	require(r == 0 ? whole : !login_is_set(l) || r < 0);
	login_wipe(l);
}

static void look_up(struct docker_config *c)
{
	static const char *const servers[] = { HUB_SERVER,	"docker.io",	  "r.example",
					       "r.example:443", "r.example:5000", "" };
	struct err err = ERR_INIT;
	struct login l;

	for (size_t i = 0; i < ARRAY_LEN(servers); i++) {
		check(docker_config_get(c, servers[i], &l, &err), &l);
		check(docker_config_get_for(c, servers[i], "team/app", &l, &err), &l);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(freep) char *warning = NULL;
	CLEANUP(closep) int fd = memfd_create("config", MFD_CLOEXEC);
	struct docker_config *c;
	struct strings list;
	char path[64];

	require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	require(!setenv("REGISTRY_AUTH_FILE", path, 1) && !setenv("PATH", "/nonexistent", 1));
	c = docker_config_load("/nonexistent", &warning);
	require(c != NULL);
	look_up(c);
	if (!docker_config_list(c, "pruneFilters", &list, NULL))
		free(list.items);
	docker_config_free(c);
	return 0;
}
