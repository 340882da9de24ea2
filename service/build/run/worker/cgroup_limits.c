#include "service/build/run/worker/cgroup_limits.h"

#include <fcntl.h>
#include <inttypes.h>

#include "proto/runtime/mem.h"

enum { MEMORY, CPU, CPUSET, PIDS, CONTROLLERS };

static const char *const names[CONTROLLERS] = { "memory", "cpu", "cpuset", "pids" };

/* Where each controller is; NULL: not asked for yet. */
struct where {
	const struct cgroup_place *place[CONTROLLERS];
	char listed[CONTROLLERS][128]; /* the v1 hierarchies that were made */
};

int cgroup_write(int dir, const char *file, const char *text)
{
	CLEANUP(closep) int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);

	return fd >= 0 && write(fd, text, len) == (ssize_t)len ? 0 : -1;
}

int cgroup_read(int dir, const char *file, char *text, size_t size)
{
	CLEANUP(closep) int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	text[n > 0 ? n : 0] = 0;
	return n < 0 ? -1 : 0;
}

/* Whether a word is in a list of them. */
static bool lists(const char *text, const char *separators, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; *at; at += strspn(at, separators)) {
		size_t here = strcspn(at, separators);

		if (here == len && !memcmp(at, word, len))
			return true;
		at += here;
	}
	return false;
}

/* ---- v2 ----------------------------------------------------------------------------- */

/* In each directory above the step's, down from the root. */
static bool enable(const struct cgroup_limits *s, const char *controller)
{
	char word[32], path[CGROUP_PATH_MAX + 32];
	const char *end = s->path;

	snprintf(word, sizeof word, "+%s", controller);
	for (;;) {
		snprintf(path, sizeof path, "./%.*s/cgroup.subtree_control", (int)(end - s->path), s->path);
		if (cgroup_write(s->unified->root, path, word) < 0)
			return false;
		end = strchr(end + 1, '/');
		if (!end)
			return true;
	}
}

static bool in_unified(const struct cgroup_limits *s, const char *controller)
{
	char text[512];

	return !cgroup_read(s->unified->root, "cgroup.controllers", text, sizeof text) &&
	       lists(text, " \n", controller) && enable(s, controller);
}

/* ---- v1 ----------------------------------------------------------------------------- */

/* The list of controllers that are in one hierarchy with this one: from a line of
 * /proc/self/cgroup, "N:LIST:PATH". */
static bool find_hierarchy(const char *controller, char *list, size_t size)
{
	char text[8192], *rest = text, *line;

	if (cgroup_read(AT_FDCWD, "/proc/self/cgroup", text, sizeof text) < 0)
		return false;
	while ((line = strsep(&rest, "\n"))) {
		char *begin = strchr(line, ':'), *end = begin ? strchr(begin + 1, ':') : NULL;

		if (!end || end - begin > (ptrdiff_t)size)
			continue;
		*end = 0;
		if (!lists(begin + 1, ",", controller))
			continue;
		snprintf(list, size, "%s", begin + 1);
		return true;
	}
	return false;
}

static int in_v1(struct cgroup_limits *s, struct where *w, unsigned controller, struct err *err)
{
	char *list = w->listed[controller];

	if (!find_hierarchy(names[controller], list, sizeof w->listed[0]))
		return fail(err, E_UNSUPPORTED, "no limit for this step: the %s controller of cgroups is not here",
			    names[controller]);
	for (unsigned i = 0; i < CONTROLLERS; i++)
		if (i != controller && w->place[i] && w->place[i]->is_v1 && !strcmp(w->listed[i], list)) {
			w->place[controller] = w->place[i];
			return OK;
		}
	return s->add_v1(s->arg, list, &w->place[controller], err);
}

static int find_place(struct cgroup_limits *s, struct where *w, unsigned controller, struct err *err)
{
	if (w->place[controller])
		return OK;
	if (!in_unified(s, names[controller]))
		return in_v1(s, w, controller, err);
	w->place[controller] = s->unified;
	return OK;
}

/* ---- values --------------------------------------------------------------------------- */

struct value {
	unsigned controller;
	const char *v1, *v2; /* files; NULL: not in that version */
	char text[64];
	bool optional; /* a kernel may lack the file */
};

enum { VALUES_MAX = 12 };

struct values {
	struct value item[VALUES_MAX];
	size_t n;
};

static struct value *add(struct values *v, unsigned controller, const char *v1, const char *v2)
{
	struct value *item = &v->item[v->n++];

	*item = (struct value){ .controller = controller, .v1 = v1, .v2 = v2 };
	return item;
}

static void put_number(struct value *item, int64_t number)
{
	snprintf(item->text, sizeof item->text, "%" PRId64, number);
}

static void put_swap(struct values *v, int64_t memory, int64_t swap)
{
	struct value *in_v1 = add(v, MEMORY, "memory.memsw.limit_in_bytes", NULL);
	struct value *in_v2 = add(v, MEMORY, NULL, "memory.swap.max");

	in_v1->optional = in_v2->optional = true; /* CONFIG_SWAP, swapaccount= */
	if (swap < 0) {
		put_number(in_v1, -1);
		snprintf(in_v2->text, sizeof in_v2->text, "max");
		return;
	}
	swap = swap ? swap : 2 * memory; /* docker's default */
	put_number(in_v1, swap);
	put_number(in_v2, swap > memory ? swap - memory : 0);
}

static void put_cpu(struct values *v, const Imaged__Run__RunLimits *l)
{
	int64_t period = l->cpu_period ? l->cpu_period : 100 * 1000;
	struct value *item;

	if (l->cpu_quota || l->cpu_period) {
		put_number(add(v, CPU, "cpu.cfs_period_us", NULL), period);
		put_number(add(v, CPU, "cpu.cfs_quota_us", NULL), l->cpu_quota > 0 ? l->cpu_quota : -1);
		item = add(v, CPU, NULL, "cpu.max");
		if (l->cpu_quota > 0)
			snprintf(item->text, sizeof item->text, "%" PRId64 " %" PRId64, l->cpu_quota, period);
		else
			snprintf(item->text, sizeof item->text, "max %" PRId64, period);
	}
	if (l->cpu_shares) {
		put_number(add(v, CPU, "cpu.shares", NULL), l->cpu_shares);
		/* 2..262144 onto 1..10000, as runtimes do. */
		put_number(add(v, CPU, NULL, "cpu.weight"), 1 + (l->cpu_shares - 2) * 9999 / 262142);
	}
}

static bool put_text(struct values *v, const char *file, const ProtobufCBinaryData *text)
{
	struct value *item;

	if (!text->len)
		return true;
	item = add(v, CPUSET, file, file);
	if (text->len >= sizeof item->text)
		return false;
	memcpy(item->text, text->data, text->len);
	return true;
}

static int put_values(struct values *v, const Imaged__Run__RunLimits *l, struct err *err)
{
	if (l->memory < 0 || l->memory > INT64_MAX / 2 || l->cpu_quota < 0 || l->cpu_period < 0 || l->pids < 0 ||
	    (l->cpu_shares && (l->cpu_shares < 2 || l->cpu_shares > 262144)))
		return fail(err, E_INVALID, "a limit that is out of range");
	if (l->memory) {
		put_number(add(v, MEMORY, "memory.limit_in_bytes", "memory.max"), l->memory);
		put_swap(v, l->memory, l->memory_swap);
	}
	put_cpu(v, l);
	if (l->pids)
		put_number(add(v, PIDS, "pids.max", "pids.max"), l->pids);
	if (!put_text(v, "cpuset.cpus", &l->cpuset_cpus) || !put_text(v, "cpuset.mems", &l->cpuset_mems))
		return fail(err, E_INVALID, "a list of processors that is too long");
	return OK;
}

/* ---- apply ----------------------------------------------------------------------------- */

/* A v1 cpuset begins empty, and takes nothing that its parent has not. */
static void inherit_cpuset(const struct cgroup_limits *s, const struct cgroup_place *p)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };
	char text[256], path[CGROUP_PATH_MAX + 16];

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		if (cgroup_read(p->root, files[i], text, sizeof text) < 0)
			continue;
		for (const char *end = strchr(s->path, '/');; end = strchr(end + 1, '/')) {
			int len = end ? (int)(end - s->path) : (int)strlen(s->path);

			snprintf(path, sizeof path, "%.*s/%s", len, s->path, files[i]);
			cgroup_write(p->root, path, text);
			if (!end)
				break;
		}
	}
}

static int apply(const struct cgroup_limits *s, const struct cgroup_place *p, const struct value *item, struct err *err)
{
	const char *file = p->is_v1 ? item->v1 : item->v2;

	if (item->controller == CPUSET && p->is_v1)
		inherit_cpuset(s, p);
	if (!file || !cgroup_write(p->dir, file, item->text) || (errno == ENOENT && item->optional))
		return OK;
	return fail(err, E_INVALID, "limit '%s' of %s: %s", item->text, file, strerrordesc_np(errno));
}

int cgroup_limits_set(struct cgroup_limits *s, const Imaged__Run__RunLimits *limits, struct err *err)
{
	struct values v = { .n = 0 };
	struct where w = { 0 };
	int rc = limits ? put_values(&v, limits, err) : OK;

	s->memory = -1;
	/* Whom a limit further up kills is told too, where that costs nothing. */
	if (in_unified(s, "memory"))
		s->memory = s->unified->dir;
	for (size_t i = 0; rc == OK && i < v.n; i++) {
		const struct value *item = &v.item[i];

		rc = find_place(s, &w, item->controller, err);
		if (rc == OK)
			rc = apply(s, w.place[item->controller], item, err);
	}
	if (rc == OK && w.place[MEMORY])
		s->memory = w.place[MEMORY]->dir;
	return rc;
}
