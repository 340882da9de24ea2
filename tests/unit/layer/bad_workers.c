#include "tests/unit/layer/bad_workers.h"

static char folder[] = "/tmp/imaged-bad-worker-XXXXXX";

int bad_workers_setup(void **state UNUSED)
{
	return mkdtemp(folder) ? 0 : -1;
}

int bad_workers_teardown(void **state UNUSED)
{
	return rmdir(folder);
}

void bad_worker_path(const char *way, char *path, size_t size)
{
	snprintf(path, size, "%s/%s", folder, way);
	assert_int_equal(symlink(BAD_WORKER, path), 0);
}
