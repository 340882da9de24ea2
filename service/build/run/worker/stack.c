#include "service/build/run/worker/stack.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "service/build/run/worker/attach.h"
#include "service/build/run/worker/workspace.h"

enum { OPTIONS_MAX = 4096 }; /* mount(2) takes one page */

struct known_layer {
	dev_t dev;
	ino_t ino;
	unsigned number;
};

void stack_layers_free(struct stack_layers *l)
{
	free(l->known);
	l->known = NULL;
}

/* ---- attach --------------------------------------------------------------------- */

static const struct known_layer *find(const struct stack_layers *l, const struct stat *st)
{
	for (size_t i = 0; i < l->n_known; i++)
		if (l->known[i].dev == st->st_dev && l->known[i].ino == st->st_ino)
			return &l->known[i];
	return NULL;
}

static int note(struct stack_layers *l, const struct stat *st, unsigned number, struct err *err)
{
	struct known_layer *all = reallocarray(l->known, l->n_known + 1, sizeof *all);

	if (!all)
		return fail_nomem(err);
	l->known = all;
	all[l->n_known++] = (struct known_layer){ st->st_dev, st->st_ino, number };
	return OK;
}

static int attach_new(struct stack_layers *l, int fd, const struct stat *st, unsigned *ret_number, struct err *err)
{
	char name[WORKSPACE_NAME_MAX];
	int rc;

	snprintf(name, sizeof name, "lower/%u", l->n);
	if (mkdir(name, 0755) < 0)
		return fail_errno(err, "make '%s' for the step", name);
	rc = attach_layer(fd, l->is_root, name, err);
	if (rc == OK)
		rc = note(l, st, l->n, err);
	*ret_number = l->n++;
	return rc;
}

static bool has(const struct stack *s, unsigned number)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->layer[i] == number)
			return true;
	return false;
}

static int add(struct stack_layers *l, int fd, struct stack *s, struct err *err)
{
	const struct known_layer *known;
	struct stat st;
	unsigned number = 0;
	int rc = OK;

	if (fstat(fd, &st) < 0)
		return fail_errno(err, "look at a layer");
	known = find(l, &st);
	if (known)
		number = known->number;
	else
		rc = attach_new(l, fd, &st, &number, err);
	if (rc == OK && !has(s, number))
		s->layer[s->n++] = number;
	return rc;
}

int stack_attach(struct stack_layers *l, const int *fds, size_t n, struct stack *ret_stack, struct err *err)
{
	int rc = n > RUN_LAYERS_MAX ? fail(err, E_LIMIT, "%zu layers are more than one mount can have", n) : OK;

	ret_stack->n = 0;
	for (size_t i = 0; rc == OK && i < n; i++)
		rc = add(l, fds[i], ret_stack, err);
	return rc;
}

/* ---- upper ------------------------------------------------------------------------ */

/* The overlay's root directory is upper's: whatever the layers say of theirs, it is one for everybody to read, as
 * docker's is. */
int stack_make_upper(const char *upper, struct err *err)
{
	if (mkdir(upper, 0755) < 0)
		return errno == EEXIST ? OK : fail_errno(err, "make '%s' for the step", upper);
	return chmod(upper, 0755) < 0 ? fail_errno(err, "set the mode of the root directory") : OK;
}

/* ---- mount -------------------------------------------------------------------------- */

/* Names that are relative to lower/ keep 500 layers within the page. */
static size_t put_lowerdir(const struct stack *s, char out[OPTIONS_MAX])
{
	size_t at = (size_t)snprintf(out, OPTIONS_MAX, "lowerdir=");

	for (size_t i = 0; i < s->n; i++)
		at += (size_t)snprintf(out + at, OPTIONS_MAX - at, "%u:", s->layer[i]);
	return at + (size_t)snprintf(out + at, OPTIONS_MAX - at, s->n ? "none" : "empty:none");
}

/* `lower/` has to be the working directory for its short names. */
static int mount_in_lower(const char *target, unsigned long flags, const char *options, struct err *err)
{
	int rc;

	if (chdir("lower") < 0)
		return fail_errno(err, "enter the layers");
	rc = mount("imaged-run", target, "overlay", flags, options);
	if (rc < 0)
		fail_errno(err, "mount the layers of the step over one another");
	if (chdir("..") < 0)
		return fail_errno(err, "leave the layers");
	return rc < 0 ? err->code : OK;
}

/* `volatile`: the kernel need not sync an upper that is thrown away after a crash anyway. Linux before 5.10
 * does not know it. */
static int mount_writable(const char *target, unsigned long flags, char *options, size_t len, struct err *err)
{
	int rc;

	snprintf(options + len, OPTIONS_MAX - len, ",volatile");
	rc = mount_in_lower(target, flags, options, err);
	if (rc == OK)
		return OK;
	options[len] = 0;
	return mount_in_lower(target, flags, options, err);
}

int stack_mount(const struct stack_layers *l, const struct stack *s, const struct stack_mount *m, struct err *err)
{
	/* A directory that is renamed must be copied, or its layer could not be told as a tar; and no
	 * layer sends us elsewhere by xattrs of its own. */
	const char *features = l->is_root ? ",redirect_dir=nofollow,metacopy=off,index=off" : ",userxattr";
	char options[OPTIONS_MAX], target[WORKSPACE_NAME_MAX];
	size_t len = put_lowerdir(s, options);
	int n = snprintf(options + len, sizeof options - len, "%s", features);

	snprintf(target, sizeof target, "../%s", m->target);
	len += (size_t)n;
	if (!m->upper)
		return mount_in_lower(target, m->flags | MS_RDONLY, options, err);
	n = snprintf(options + len, sizeof options - len, ",upperdir=../%s,workdir=../%s", m->upper, m->work);
	if (n < 0 || len + (size_t)n + sizeof ",volatile" > sizeof options)
		return fail(err, E_LIMIT, "%zu layers are more than one mount can have", s->n);
	return mount_writable(target, m->flags, options, len + (size_t)n, err);
}
