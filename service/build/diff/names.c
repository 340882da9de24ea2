#include "service/build/diff/names.h"

#include <dirent.h>
#include <fcntl.h>

void entry_names_free(struct entry_names *n)
{
	for (size_t i = 0; i < n->n; i++)
		free(n->sorted[i]);
	free(n->sorted);
	*n = (struct entry_names){ 0 };
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add(struct entry_names *n, const char *name, size_t max, struct err *err)
{
	size_t cost = strlen(name) + 1 + 2 * sizeof(void *);

	if (n->bytes + cost > max)
		return fail(err, E_LIMIT, "a directory with more than %zu names is too large for a layer", n->n);
	if (n->n == n->room) {
		size_t room = n->room ? 2 * n->room : 32;
		char **sorted = reallocarray(n->sorted, room, sizeof *sorted);

		if (!sorted)
			return fail_nomem(err);
		n->sorted = sorted;
		n->room = room;
	}
	n->sorted[n->n] = strdup(name);
	if (!n->sorted[n->n])
		return fail_nomem(err);
	n->n++;
	n->bytes += cost;
	return OK;
}

static int read_all(DIR *dir, size_t max, struct entry_names *n, struct err *err)
{
	struct dirent *e;
	int rc = OK;

	for (errno = 0; rc == OK && (e = readdir(dir)); errno = 0)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = add(n, e->d_name, max, err);
	return rc == OK && errno ? fail_errno(err, "read a directory") : rc;
}

int entry_names_read(int dir, size_t max, struct entry_names *ret_names, struct err *err)
{
	CLEANUP(entry_names_free) struct entry_names n = { 0 };
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;
	DIR *stream = copy < 0 ? NULL : fdopendir(copy);

	if (!stream) {
		closep(&copy);
		return fail_errno(err, "open a directory");
	}
	rc = read_all(stream, max, &n, err);
	closedir(stream);
	if (rc != OK)
		return rc;
	if (n.n)
		qsort(n.sorted, n.n, sizeof *n.sorted, compare);
	*ret_names = TAKE(n);
	return OK;
}

bool entry_names_have(const struct entry_names *n, const char *name)
{
	return n->n && bsearch(&name, n->sorted, n->n, sizeof *n->sorted, compare);
}
