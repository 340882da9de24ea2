#include "tests/fuzz/context_store.h"

#include <ftw.h>
#include <sys/stat.h>

static char root[] = "/dev/shm/imaged-fuzz-XXXXXX";
static struct store *store;
static struct contexts *contexts;

static int remove_one(const char *path, const struct stat *st UNUSED, int type, struct FTW *ftw UNUSED)
{
	return type == FTW_DP ? rmdir(path) : unlink(path);
}

static void remove_root(void)
{
	contexts_free(contexts);
	store_close(store);
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

struct contexts *fuzz_contexts(void)
{
	if (contexts)
		return contexts;
	if (!mkdtemp(root) || store_open(root, &store, NULL) != OK || contexts_new(store, &contexts, NULL) != OK)
		abort();
	atexit(remove_root);
	return contexts;
}
