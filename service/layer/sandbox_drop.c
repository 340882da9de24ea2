#include "service/layer/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <linux/landlock.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/runtime/mem.h"

static int fail_step(struct err *err, const char *step)
{
	return fail(err, E_WORKER, "sandbox: %s: %s", step, strerrordesc_np(errno));
}

/* An optional part that this machine refuses. */
static void add_note(struct sandbox *s, const char *step)
{
	size_t used = strlen(s->note);

	snprintf(s->note + used, sizeof s->note - used, "%s%s: %s", used ? "; " : "", step, strerrordesc_np(errno));
}

/* What says "this kernel, or this container, does not give it". */
static bool is_refusal(int number)
{
	return number == EPERM || number == EACCES || number == ENOSYS || number == EINVAL || number == ENOSPC ||
	       number == EUSERS || number == EOPNOTSUPP;
}

static int forbid_new_privileges(struct sandbox *s, struct err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return fail_step(err, "no_new_privs");
	s->in_force |= SANDBOX_NO_NEW_PRIVS;
	return OK;
}

/* No mount namespace: it would pin the host's mounts, layers' among them, for as
 * long as the worker lives, and there is no path left to open anyway. */
static int leave_namespaces(struct sandbox *s, struct err *err)
{
	if (!unshare(CLONE_NEWNET | CLONE_NEWIPC))
		s->in_force |= SANDBOX_NAMESPACES;
	else if (is_refusal(errno))
		add_note(s, "namespaces");
	else
		return fail_step(err, "namespaces");
	return OK;
}

static bool become_nobody(void)
{
	uid_t r, e, saved;

	return !setgroups(0, NULL) && !setresgid(SANDBOX_NOBODY, SANDBOX_NOBODY, SANDBOX_NOBODY) &&
	       !setresuid(SANDBOX_NOBODY, SANDBOX_NOBODY, SANDBOX_NOBODY) && !getresuid(&r, &e, &saved) &&
	       r == SANDBOX_NOBODY && e == SANDBOX_NOBODY && saved == SANDBOX_NOBODY;
}

/* A new user namespace without any mapping: no user, no group, and all capabilities
 * only over itself, until they are cleared. */
static int enter_user_namespace(struct sandbox *s, bool must, struct err *err)
{
	if (!unshare(CLONE_NEWUSER)) {
		s->in_force |= SANDBOX_USERNS;
		return OK;
	}
	if (must || !is_refusal(errno))
		return fail_step(err, "neither another user nor a user namespace");
	add_note(s, "userns");
	return OK;
}

/* The set from which no exec could ever take a capability again. Who may not empty
 * it needs not: no_new_privs and the filter (no exec) keep it from mattering. */
static int clear_bounding_set(struct err *err)
{
	if (capng_get_caps_process())
		return fail(err, E_WORKER, "sandbox: the capabilities cannot be read");
	if (!capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		return OK;
	capng_clear(CAPNG_SELECT_BOUNDS);
	if (capng_apply(CAPNG_SELECT_BOUNDS) || capng_get_caps_process() ||
	    capng_have_capabilities(CAPNG_SELECT_BOUNDS) != CAPNG_NONE)
		return fail(err, E_WORKER, "sandbox: capabilities remain in the bounding set");
	return OK;
}

/* Everything here needs capabilities that are gone with the user. */
static int leave_root(struct sandbox *s, struct err *err)
{
	int rc = leave_namespaces(s, err);

	if (rc == OK)
		rc = clear_bounding_set(err);
	if (rc != OK)
		return rc;
	if (become_nobody()) {
		s->in_force |= SANDBOX_UID;
		return OK;
	}
	add_note(s, "uid");
	return enter_user_namespace(s, true, err);
}

static int leave_user(struct sandbox *s, struct err *err)
{
	int rc;

	if (geteuid() == 0)
		return leave_root(s, err);
	rc = enter_user_namespace(s, false, err);
	return rc == OK ? leave_namespaces(s, err) : rc;
}

static bool has_no_capabilities(void)
{
	return !capng_get_caps_process() && capng_have_capabilities(CAPNG_SELECT_CAPS) == CAPNG_NONE &&
	       capng_have_capabilities(CAPNG_SELECT_AMBIENT) == CAPNG_NONE;
}

static int clear_capabilities(struct sandbox *s, struct err *err)
{
	int rc = clear_bounding_set(err);

	if (rc != OK)
		return rc;
	capng_clear(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT);
	if (capng_apply(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT) || !has_no_capabilities())
		return fail(err, E_WORKER, "sandbox: capabilities remain");
	s->in_force |= SANDBOX_NO_CAPABILITIES;
	return OK;
}

/* All that the first version of landlock knows is handled, and no rule allows any. */
static int forbid_paths(struct sandbox *s, struct err *err)
{
	const struct landlock_ruleset_attr all = { .handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1 };
	CLEANUP(closep) int ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);

	if (ruleset >= 0 && !syscall(SYS_landlock_restrict_self, ruleset, 0))
		s->in_force |= SANDBOX_LANDLOCK;
	else if (is_refusal(errno))
		add_note(s, "landlock");
	else
		return fail_step(err, "landlock");
	return OK;
}

static int become_opaque(struct err *err)
{
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? fail_step(err, "not dumpable") : OK;
}

int sandbox_drop(struct sandbox *s, struct err *err)
{
	int rc;

	*s = (struct sandbox){ 0 };
	rc = forbid_new_privileges(s, err);
	if (rc == OK)
		rc = leave_user(s, err);
	if (rc == OK)
		rc = clear_capabilities(s, err);
	if (rc == OK)
		rc = forbid_paths(s, err);
	if (rc == OK)
		rc = become_opaque(err);
	return rc;
}
